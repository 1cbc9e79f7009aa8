import { connect } from 'node:net';
import { join } from 'node:path';
import { findProgram, type Program } from './find-program.ts';
import { freePort } from './free-port.ts';
import { type ServiceProcess, ServiceStartError, startProcess } from './service-process.ts';
import { removeFolder, temporaryFolder } from './temporary-folder.ts';

export const redisProgram: Program = {
  title: 'Redis',
  names: ['redis-server', 'valkey-server'],
  debianPackages: ['redis-server'],
  variable: 'REDIS_URL',
};

export interface RedisOptions {
  /** @default a free one */
  readonly port?: number;
  /** Additional arguments for redis-server, which override the defaults. */
  readonly args?: readonly string[];
  /** A working folder that is kept, so that a restarted server finds its data. @default a temporary one */
  readonly dir?: string;
}

export interface RedisServer extends ServiceProcess {
  readonly url: string;
  readonly host: string;
  readonly port: number;
  readonly dir: string;
}

/** Whether a Redis answers on a loopback port. A request for a password counts as an answer. */
async function answers(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write('PING\r\n'));
    const finish = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(1_000, () => finish(false));
    socket.once('data', (chunk) => finish(/^(\+PONG|-NOAUTH)/.test(chunk.toString())));
    socket.once('error', () => finish(false));
    socket.once('close', () => finish(false));
  });
}

/** Starts a separate Redis on loopback without persistence, and resolves once it answers. */
export async function startRedis(options: RedisOptions = {}): Promise<RedisServer> {
  const command = await findProgram(redisProgram);
  const dir = options.dir ?? temporaryFolder('redis');
  for (let attempt = 1; ; attempt += 1) {
    const port = options.port ?? (await freePort());
    const defaults = [
      '--port',
      `${port}`,
      '--bind',
      '127.0.0.1',
      '--dir',
      dir,
      '--save',
      '',
      '--appendonly',
      'no',
    ];
    try {
      const service = await startProcess({
        command,
        args: [...defaults, ...(options.args ?? [])],
        directory: dir,
        logFile: join(dir, 'server.log'),
        isReady: () => answers(port),
      });
      const stop = async () => {
        await service.stop();
        if (options.dir === undefined) removeFolder(dir);
      };
      return { ...service, stop, host: '127.0.0.1', port, url: `redis://127.0.0.1:${port}`, dir };
    } catch (error) {
      const mayRetry = error instanceof ServiceStartError && options.port === undefined && attempt < 3;
      if (!mayRetry) throw error;
    }
  }
}
