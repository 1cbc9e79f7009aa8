import { Redis } from 'ioredis';
import { startRedis, type TcpProxy, tcpProxy } from '../support/services.ts';
import type { AppOrder } from './process-app.ts';
import { type AppProcess, startApp } from './process-child.ts';
import { type Framework, frameworks } from './process-frameworks.ts';
import { serveHost } from './process-host.ts';
import { type Site, siteOf } from './process-site.ts';

export type { AppProcess } from './process-child.ts';
export { type Framework, frameworks } from './process-frameworks.ts';
export type { Site } from './process-site.ts';

export interface SceneOptions {
  /** Rows an org may have. */
  readonly limit: number;
  readonly leaseMs: number;
}

export interface StartOptions extends Partial<Pick<AppOrder, 'holds' | 'graceMs' | 'countersUrl'>> {
  readonly clockOffMs?: number;
}

/** A Redis, a host on each framework in this process, and further processes of theirs that come and go. */
export interface ProcessScene {
  on(framework: Framework): Site;
  start(options?: StartOptions): Promise<AppProcess>;
  /** A way to Redis that can be disturbed. */
  link(): Promise<TcpProxy & { readonly url: string }>;
  close(): Promise<void>;
}

export async function processScene(options: SceneOptions): Promise<ProcessScene> {
  const endings: (() => unknown)[] = [];
  const server = await startRedis();
  endings.push(() => server.stop());
  const redis = new Redis(server.url);
  endings.push(() => redis.disconnect());
  const settings = { ...options, countersUrl: server.url, rowsUrl: server.url };
  const sites = new Map<Framework, Site>();
  for (const framework of frameworks) {
    const here = await serveHost({ ...settings, framework });
    endings.push(() => here.close(0));
    sites.set(framework, siteOf(framework, here, redis));
  }
  return {
    on: (framework) => sites.get(framework) as Site,
    async start({ clockOffMs = 0, ...order } = {}) {
      const app = await startApp({ ...settings, holds: {}, graceMs: 8_000, ...order }, clockOffMs);
      endings.push(() => app.kill('SIGKILL'));
      return app;
    },
    async link() {
      const proxy = await tcpProxy(server.port);
      endings.push(() => proxy.close());
      return Object.assign(proxy, { url: `redis://${proxy.host}:${proxy.port}` });
    },
    async close() {
      for (const end of endings.splice(0).reverse()) await end();
    },
  };
}
