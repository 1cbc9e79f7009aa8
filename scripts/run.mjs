// node scripts/run.mjs <tool> [arguments]: a tool of this workspace, installed first when it is not.
import { ensureInstalled, root } from './ensure-installed.mjs';
import { exec } from './exec.mjs';

const [tool, ...args] = process.argv.slice(2);
ensureInstalled();
exec(`${root}node_modules/.bin/${tool}`, args);
