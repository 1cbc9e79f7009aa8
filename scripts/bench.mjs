// node scripts/bench.mjs [arguments]: the guard's overhead beside its peers, measured on the built packages.
import { spawnSync } from 'node:child_process';
import { ensureInstalled, root } from './ensure-installed.mjs';
import { exec } from './exec.mjs';

ensureInstalled();
const build = spawnSync(`${root}node_modules/.bin/tsc`, ['-b', 'tsconfig.build.json'], {
  cwd: root,
  stdio: 'inherit',
});
if (build.status !== 0) process.exit(build.status ?? 1);
exec(process.execPath, ['--expose-gc', '--import', 'tsx', `${root}bench/main.ts`, ...process.argv.slice(2)]);
