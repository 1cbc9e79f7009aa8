// node scripts/start.mjs <express|koa> [arguments]: runs an example app straight from the packages' sources.
import { existsSync } from 'node:fs';
import { ensureInstalled, root } from './ensure-installed.mjs';
import { exec } from './exec.mjs';

const [name = 'express', ...args] = process.argv.slice(2);
const entry = `${root}examples/${name}/src/main.ts`;
if (!existsSync(entry)) {
  console.error(`There is no example called "${name}".`);
  process.exit(1);
}
ensureInstalled();
exec(process.execPath, ['--conditions=@tollgate/source', '--import', 'tsx', entry, ...args]);
