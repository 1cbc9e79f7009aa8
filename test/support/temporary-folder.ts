import { chownSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { tellReaper } from './reaper.ts';

export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

/** Whether a user other than the owner can reach what lies in a folder. */
function isTraversableByAll(folder: string): boolean {
  for (let current = folder; ; current = dirname(current)) {
    if ((statSync(current).mode & 0o001) === 0) return false;
    if (current === dirname(current)) return true;
  }
}

/** Makes a folder that disappears with this process at the latest; for another owner, one that owner can reach. */
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
