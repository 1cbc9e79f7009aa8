// Packs every public package as it would be published and checks the tarballs with publint and attw.
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { ensureInstalled, root } from './ensure-installed.mjs';

const mustHave = ['LICENSE', 'README.md', 'dist/index.js', 'dist/index.d.ts', 'src/index.ts'];
const mustNotHave = /\.tsbuildinfo$|\.test(-d)?\.|\.env/;

function run(command, args, cwd = root) {
  const { status, stdout, stderr } = spawnSync(command, args, { cwd, encoding: 'utf8' });
  return { ok: status === 0, stdout, output: `${stdout ?? ''}${stderr ?? ''}`.trim() };
}

const bin = (tool) => `${root}node_modules/.bin/${tool}`;

/** Packs one package and returns every problem found in it. */
function check(directory, into) {
  const packed = run('npm', ['pack', '--json', '--ignore-scripts', '--pack-destination', into], directory);
  if (!packed.ok) return [`npm pack failed\n${packed.output}`];
  const report = JSON.parse(packed.stdout);
  const [{ filename, files }] = Array.isArray(report) ? report : Object.values(report);
  const paths = files.map((file) => file.path);
  const complaints = [
    ...mustHave.filter((path) => !paths.includes(path)).map((path) => `${path} is missing from the tarball`),
    ...paths.filter((path) => mustNotHave.test(path)).map((path) => `${path} does not belong in the tarball`),
  ];
  const tarball = join(into, filename);
  const tools = [
    ['publint', [tarball, '--strict']],
    ['attw', [tarball, '--profile', 'esm-only', '--no-emoji', '--no-color']],
  ];
  for (const [tool, args] of tools) {
    const result = run(bin(tool), args);
    if (!result.ok) complaints.push(`${tool} complains\n${result.output}`);
  }
  return complaints;
}

ensureInstalled();
const build = run(bin('tsc'), ['-b', 'tsconfig.build.json']);
if (!build.ok) {
  console.error(build.output);
  process.exit(1);
}

const into = mkdtempSync(join(tmpdir(), 'tollgate-pack-'));
let failed = 0;
try {
  for (const name of readdirSync(`${root}packages`)) {
    const directory = `${root}packages/${name}`;
    const manifest = JSON.parse(readFileSync(`${directory}/package.json`, 'utf8'));
    if (manifest.private) continue;
    const complaints = check(directory, into);
    if (complaints.length > 0) failed += 1;
    console.log(`${complaints.length > 0 ? 'not ok' : 'ok'} ${manifest.name}`);
    for (const complaint of complaints) console.log(complaint.replace(/^/gm, '    '));
  }
} finally {
  rmSync(into, { recursive: true, force: true });
}
process.exit(failed > 0 ? 1 : 0);
