import { spawnSync } from 'node:child_process';
import { existsSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

export const root = fileURLToPath(new URL('..', import.meta.url));

const minimumNode = [20, 19];

/** Returns why node_modules does not match the lock file, or undefined if it does. */
function reasonToInstall() {
  const installedPath = `${root}node_modules/.package-lock.json`;
  if (!existsSync(installedPath)) return 'node_modules is missing';
  const wanted = JSON.parse(readFileSync(`${root}package-lock.json`, 'utf8')).packages;
  const installed = JSON.parse(readFileSync(installedPath, 'utf8')).packages;
  for (const [path, entry] of Object.entries(wanted)) {
    if (!path.includes('node_modules/')) continue;
    const found = installed[path];
    // Optional entries are binaries for other platforms: their absence is normal.
    if (found === undefined && (entry.optional || entry.devOptional)) continue;
    if (found?.version !== entry.version || Boolean(found?.link) !== Boolean(entry.link)) {
      return `node_modules does not match the lock file (${path})`;
    }
  }
  return undefined;
}

/** Runs `npm ci` if needed, so that every npm script works on its own in a fresh clone. */
export function ensureInstalled() {
  const [major = 0, minor = 0] = process.versions.node.split('.').map(Number);
  if (major < minimumNode[0] || (major === minimumNode[0] && minor < minimumNode[1])) {
    console.error(`Tollgate needs Node ${minimumNode.join('.')} or newer; this is ${process.versions.node}.`);
    process.exit(1);
  }
  const reason = reasonToInstall();
  if (reason === undefined) return;
  console.log(`${reason}: running npm ci`);
  const { status } = spawnSync('npm', ['ci', '--include=dev'], {
    cwd: root,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  if (status !== 0) {
    console.error('npm ci failed; see its output above.');
    process.exit(status ?? 1);
  }
}

if (process.argv[1] === fileURLToPath(import.meta.url)) ensureInstalled();
