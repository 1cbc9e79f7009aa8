import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { endWithUs } from '../support/reaper.ts';
import { waitUntil } from '../support/services.ts';
import type { AppCommand, AppMessage, AppOrder } from './process-app.ts';
import type { Framework } from './process-frameworks.ts';

/** The host on one framework in a process that was started. */
export interface AppHost {
  readonly url: string;
  /** Waits until so many creates of an org, since the last call, have come to where they are held. */
  reached(org: string, creates?: number): Promise<void>;
  /** Waits until it has seen so many clients of an org go away, since the last call. */
  clientsGone(org: string, clients: number): Promise<void>;
  /** Lets the creates of an org go on that wait now. */
  letGo(org: string): void;
}

/** A process with a host on each framework, seen from the process that started it. */
export interface AppProcess {
  on(framework: Framework): AppHost;
  /** By how much its clock was ahead of ours when it was ready, ms. */
  readonly clockOffMs: number;
  /** What its engines counted of a metric; everything once it has ended. */
  metric(name: string): number;
  /** Sends SIGTERM and resolves once it no longer listens. */
  terminate(): Promise<void>;
  /** Resolves when it is gone; at once for SIGSTOP and SIGCONT. */
  kill(signal: 'SIGKILL' | 'SIGSTOP' | 'SIGCONT'): Promise<void>;
  /** Its exit code, null when a signal ended it. */
  readonly ended: Promise<number | null>;
}

const wrongClock = fileURLToPath(new URL('process-wrong-clock.ts', import.meta.url));
const app = fileURLToPath(new URL('process-app.ts', import.meta.url));

/** Starts a process; it never outlives this one. */
export async function startApp(order: AppOrder, clockOffMs = 0): Promise<AppProcess> {
  const child = spawn(
    process.execPath,
    ['--conditions=@tollgate/source', '--import', 'tsx', '--import', wrongClock, app, JSON.stringify(order)],
    {
      env: { ...process.env, NODE_OPTIONS: '', CLOCK_OFF_MS: `${clockOffMs}` },
      stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    },
  );
  const ended = endOf(child);
  const heard: AppMessage[] = [];
  child.on('message', (message: AppMessage) => heard.push(message));

  /** Waits for so many messages that were not waited for before. */
  async function hear<S extends AppMessage['said']>(
    wanted: { readonly said: S } & Readonly<Record<string, string>>,
    count = 1,
  ): Promise<readonly Extract<AppMessage, { said: S }>[]> {
    const facts = Object.entries(wanted);
    const fits = (message: object): message is Extract<AppMessage, { said: S }> =>
      facts.every(([name, value]) => Reflect.get(message, name) === value);
    const found = await waitUntil(
      `the process says ${count} times ${JSON.stringify(wanted)}`,
      () => {
        const all = heard.filter(fits);
        return all.length >= count && all.slice(0, count);
      },
      { timeoutMs: 30_000, everyMs: 5 },
    );
    for (const message of found) heard.splice(heard.indexOf(message), 1);
    return found;
  }

  const [ready] = await Promise.race([
    hear({ said: 'ready' }),
    ended.then((code) => {
      throw new Error(`The process ended with ${code} before it was ready.`);
    }),
  ]);
  const tell = (command: AppCommand) => void child.send(command);
  return {
    on: (framework) => ({
      url: ready?.urls[framework] ?? '',
      reached: async (org, creates) => void (await hear({ said: 'reached', framework, org }, creates)),
      clientsGone: async (org, clients) =>
        void (await hear({ said: 'client gone', framework, org }, clients)),
      letGo: (org) => tell({ letGo: { framework, org } }),
    }),
    clockOffMs: (ready?.now ?? 0) - Date.now(),
    metric: (name) =>
      heard.reduce((sum, one) => sum + (one.said === 'counted' && one.metric === name ? one.value : 0), 0),
    async terminate() {
      child.kill('SIGTERM');
      await hear({ said: 'closing' });
    },
    async kill(signal) {
      child.kill(signal);
      if (signal === 'SIGKILL') await ended;
    },
    ended,
  };
}

function endOf(child: ChildProcess): Promise<number | null> {
  endWithUs(child);
  const exit = new Promise<number | null>((resolve, reject) => {
    child.once('error', reject);
    child.once('exit', (code) => resolve(code));
  });
  // Everything it said has been heard.
  const silence = new Promise<void>((resolve) => child.once('disconnect', resolve));
  return Promise.all([exit, silence]).then(([code]) => code);
}
