import { readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/**
 * Takes a folder for this process: an embedded database that two processes have open loses what they write. What a process left
 * that died is taken over. Answers how to give it back.
 *
 * @throws Error that says which process has it
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
  // In a container a process often has the number of the one before it.
  if (!(pid > 0) || pid === process.pid) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return error instanceof Error && 'code' in error && error.code === 'EPERM';
  }
}
