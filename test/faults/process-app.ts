// A process with a host on each framework. It tells the process that started it how far their creates are, and holds them there when
// it is asked to.
import { type Framework, frameworks } from './process-frameworks.ts';
import { type HostSettings, type Stage, serveHost } from './process-host.ts';

export interface AppOrder extends Omit<HostSettings, 'framework'> {
  /** Where the creates of an org wait until they are let go. */
  readonly holds: Readonly<Record<string, Stage>>;
  /** How long requests may take to end after SIGTERM, ms. */
  readonly graceMs: number;
}

/** Whose creates. */
export interface Whose {
  readonly framework: Framework;
  readonly org: string;
}

export type AppMessage =
  /** `now`: its own clock. */
  | { readonly said: 'ready'; readonly urls: Readonly<Record<string, string>>; readonly now: number }
  /** A create waits. */
  | ({ readonly said: 'reached' } & Whose)
  | ({ readonly said: 'client gone' } & Whose)
  | { readonly said: 'counted'; readonly metric: string; readonly value: number }
  /** It no longer listens. */
  | { readonly said: 'closing' };

/** The creates that wait now may go on. */
export interface AppCommand {
  readonly letGo: Whose;
}

const order: AppOrder = JSON.parse(process.argv[2] ?? '{}');
const waiting = new Map<string, (() => void)[]>();
const nameOf = ({ framework, org }: Whose) => `${framework} ${org}`;
const say = (message: AppMessage) => process.send?.(message);

const hosts = await Promise.all(
  frameworks.map((framework) => {
    const hooks = {
      async reached(stage: Stage, org: string) {
        if (order.holds[org] !== stage) return;
        const name = nameOf({ framework, org });
        await new Promise<void>((resolve) => {
          waiting.set(name, [...(waiting.get(name) ?? []), resolve]);
          say({ said: 'reached', framework, org });
        });
      },
      clientGone: (org: string) => say({ said: 'client gone', framework, org }),
      counted: (metric: string, value: number) => say({ said: 'counted', metric, value }),
    };
    return serveHost({ ...order, framework }, hooks);
  }),
);

process.on('message', ({ letGo }: AppCommand) => {
  const creates = waiting.get(nameOf(letGo)) ?? [];
  waiting.delete(nameOf(letGo));
  for (const goOn of creates) goOn();
});
process.on('disconnect', () => process.exit(1));
// Whoever listens must not keep a process running that has closed everything.
process.channel?.unref();
process.once('SIGTERM', () => {
  for (const host of hosts) void host.close(order.graceMs);
  say({ said: 'closing' });
});
say({
  said: 'ready',
  urls: Object.fromEntries(frameworks.map((framework, index) => [framework, hosts[index]?.url ?? ''])),
  now: Date.now(),
});
