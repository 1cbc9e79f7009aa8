import { type ChildProcessWithoutNullStreams, spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';

/** A child process that runs one file of this folder and prints lines. It ends with the test. */
export interface TestingProcess {
  readonly process: ChildProcessWithoutNullStreams;
  /** The next line it prints. @throws Error with what it wrote to stderr when it ends first */
  line(): Promise<string>;
  write(text: string): void;
  kill(signal: NodeJS.Signals): Promise<void>;
}

/** Starts `node` on a TypeScript file beside this one. */
export function startFile(name: string, ...args: readonly string[]): TestingProcess {
  const file = fileURLToPath(new URL(name, import.meta.url));
  const child = spawn(process.execPath, ['--conditions=@tollgate/source', '--import', 'tsx', file, ...args]);
  let complaint = '';
  child.stderr.on('data', (chunk) => {
    complaint += String(chunk);
  });
  child.stdin.on('error', () => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const gone = new Promise<void>((resolve) => child.once('close', () => resolve()));
  return {
    process: child,
    line: async () => {
      const next = await lines.next();
      if (next.done === true) throw new Error(`${name} ended: ${complaint}`);
      return next.value;
    },
    write: (text) => child.stdin.write(text),
    kill: async (signal) => {
      child.kill(signal);
      await gone;
    },
  };
}
