import { type ChildProcess, spawn } from 'node:child_process';
import { fileURLToPath } from 'node:url';

type Order =
  | { readonly watch: number }
  | { readonly forget: number }
  | { readonly directory: string }
  | { readonly forgetDirectory: string };

let reaper: ChildProcess | undefined;

/** Tells this process's reaper what to end or remove if this process dies before it has cleaned up. */
export function tellReaper(order: Order): void {
  if (reaper === undefined) {
    reaper = spawn(process.execPath, [fileURLToPath(new URL('reaper-process.mjs', import.meta.url))], {
      stdio: ['pipe', 'ignore', 'ignore'],
      // In its own process group, so that Ctrl-C in the terminal does not end it before its work is done.
      detached: true,
      env: {},
    });
    reaper.unref();
    const input = reaper.stdin as (NodeJS.WritableStream & { unref?: () => void }) | null;
    input?.on('error', () => {});
    input?.unref?.();
  }
  reaper.stdin?.write(`${JSON.stringify(order)}\n`);
}

/** Ends a child process together with this one, however this one ends. */
export function endWithUs(child: ChildProcess): void {
  const { pid } = child;
  if (pid === undefined) return;
  tellReaper({ watch: pid });
  child.once('exit', () => tellReaper({ forget: pid }));
}
