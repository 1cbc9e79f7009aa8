import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Locks a folder for this process, because an embedded database opened by two processes loses data. The lock of a dead process is
 * taken over. Returns a function that releases the lock.
 *
 * @throws Error naming the process that holds the lock
 */
export function lockFolder(folder: string): () => void {
  const file = join(folder, 'process.pid');
  for (;;) {
    try {
      writeFileSync(file, `${process.pid}\n`, { flag: 'wx' });
      return () => rmSync(file, { force: true });
    } catch (error) {
      if (!(error instanceof Error && 'code' in error && error.code === 'EEXIST')) throw error;
    }
    const holder = Number.parseInt(readFileSync(file, 'utf8'), 10);
    if (isAlive(holder))
      throw new Error(
        `process ${holder} has it open. Stop that one, or, if it is no example, delete ${file}.`,
      );
    rmSync(file, { force: true });
  }
}

function isAlive(pid: number): boolean {
  // In a container, a process often has the same pid as its predecessor.
  if (!(pid > 0) || pid === process.pid) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
