import { type ChildProcess, fork, spawnSync } from 'node:child_process';
import { availableParallelism } from 'node:os';
import { fileURLToPath } from 'node:url';

const canPin = availableParallelism() >= 2 && spawnSync('taskset', ['-V']).status === 0;

/** Pins a process to one core: servers to the first, load and Redis to the second. Does nothing where that is impossible. */
export function pin(pid: number | undefined, core: number): void {
  if (canPin && pid !== undefined) spawnSync('taskset', ['-a', '-cp', String(core), String(pid)]);
}

export interface Child {
  readonly port: number;
  ask<T>(order: unknown): Promise<T>;
  stop(): void;
}

export async function startChild(args: readonly string[], core: number): Promise<Child> {
  const child = fork(fileURLToPath(new URL('child.ts', import.meta.url)), args, {
    execArgv: ['--import', 'tsx'],
    env: { ...process.env, NODE_ENV: 'production' },
  });
  pin(child.pid, core);
  const { port } = await answerOf<{ port: number }>(child);
  pin(child.pid, core);
  return {
    port,
    ask(order) {
      const answer = answerOf<never>(child);
      child.send(order as object);
      return answer;
    },
    stop: () => child.kill(),
  };
}

function answerOf<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const gone = (code: number | null) => reject(new Error(`A process of the bench ended with ${code}.`));
    child.once('exit', gone);
    child.once('message', (message) => {
      child.off('exit', gone);
      resolve(message as T);
    });
  });
}
