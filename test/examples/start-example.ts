import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { endWithUs } from '../support/reaper.ts';
import { freePort, waitUntil } from '../support/services.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

/** A running example app. */
export interface Example {
  readonly origin: string;
  /** Where the API lies. */
  readonly api: string;
  readonly process: ChildProcess;
  /** What it has printed so far. */
  output(): string;
  /** Ends it with a signal and resolves with its exit code, null when the signal killed it. */
  stop(signal?: NodeJS.Signals): Promise<number | null>;
}

/** Starts an example app as `npm start` does, on a port of its own, and resolves once it answers. It never outlives this process. */
export async function startExample(
  framework: 'express' | 'koa',
  env: Readonly<Record<string, string>> = {},
): Promise<Example> {
  const port = Number(env.PORT ?? (await freePort()));
  const { NODE_OPTIONS: _options, REDIS_URL: _redis, DATABASE_URL: _database, ...inherited } = process.env;
  const child = spawn(
    process.execPath,
    ['--conditions=@tollgate/source', '--import', 'tsx', `examples/${framework}/src/main.ts`],
    {
      cwd: root,
      env: { ...inherited, NODE_ENV: 'development', ...env, PORT: `${port}` },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding('utf8');
    stream.on('data', (text: string) => {
      output += text;
    });
  }
  endWithUs(child);
  const ended = new Promise<number | null>((resolve) => child.once('exit', (code) => resolve(code)));
  const origin = `http://127.0.0.1:${port}`;
  const stop = async (signal: NodeJS.Signals = 'SIGTERM') => {
    child.kill(signal);
    return await ended;
  };
  try {
    await waitUntil(
      'the example answers',
      async () => {
        if (child.exitCode !== null) return 'ended';
        return (await fetch(`${origin}/api/v1/plans`)).ok;
      },
      { timeoutMs: 60_000, everyMs: 50 },
    );
    if (child.exitCode !== null) throw new Error(`The example ended at once:\n${output}`);
  } catch (error) {
    await stop('SIGKILL');
    throw new Error(`The example did not start:\n${output}`, { cause: error });
  }
  return { origin, api: `${origin}/api/v1`, process: child, output: () => output, stop };
}
