// node scripts/run.mjs <tool> [arguments]: runs a tool of this workspace, after installing it if needed.
import { ensureInstalled, root } from './ensure-installed.mjs';
import { exec } from './exec.mjs';

const [tool, ...args] = process.argv.slice(2);
ensureInstalled();
exec(`${root}node_modules/.bin/${tool}`, args);
