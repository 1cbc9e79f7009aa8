import { chownSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { tellReaper } from './reaper.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Whether users other than the owner can reach the contents of a folder. */
function isTraversableByAll(folder: string): boolean {
  for (let current = folder; ; current = dirname(current)) {
    if ((statSync(current).mode & 0o001) === 0) return false;
    if (current === dirname(current)) return true;
  }
}

/** Creates a folder that is removed when this process ends, at the latest. If an owner is given, it can reach the folder. */
export function temporaryFolder(name: string, owner?: Owner): string {
  const parent = owner === undefined || isTraversableByAll(tmpdir()) ? tmpdir() : '/tmp';
  const folder = mkdtempSync(join(parent, `tollgate-${name}-`));
  tellReaper({ directory: folder });
  if (owner !== undefined) chownSync(folder, owner.uid, owner.gid);
  return folder;
}

export function removeFolder(folder: string): void {
  rmSync(folder, { recursive: true, force: true, maxRetries: 5 });
  tellReaper({ forgetDirectory: folder });
}
