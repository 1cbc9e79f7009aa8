import { type ChildProcess, spawn, spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { endWithUs } from '../support/reaper.ts';
import { freePort, waitUntil } from '../support/services.ts';
import { type Block, root } from './fenced-blocks.ts';

/** What fragments take for granted, where they do not import it themselves. */
const HEAD = {
  '@tollgate/core': ['errorReply', 'TollgateError'],
  express: ['type NextFunction', 'type Request', 'type Response'],
  '@tollgate/express': [
    'billingRouter',
    'degradation',
    'friction',
    'releaseQuota',
    'requireQuota',
    'reservationOf',
  ],
};

/** Plain Node on the packages' sources. */
const NODE_ARGS = ['--conditions=@tollgate/source', '--import', 'tsx'];

export const fragmentName = (i: number): string => `fragment-${i}.ts`;

/** A new folder with all blocks as files: inside the checkout, so that packages are found, and out of sight of every other tool. */
export function snippetFolder(blocks: readonly Block[]): string {
  mkdirSync(`${root}test-results`, { recursive: true });
  const folder = mkdtempSync(`${root}test-results/snippets-`);
  copyFileSync(`${root}test/fixtures/readme/fragments.d.ts`, join(folder, 'fragments.d.ts'));
  blocks.forEach(({ file, code }, i) => {
    writeFileSync(join(folder, file ?? fragmentName(i)), file === null ? fragment(code) : code);
  });
  return folder;
}

function fragment(code: string): string {
  const imported = [...code.matchAll(/^import (?:type )?\{([^}]*)\}/gm)].flatMap(([, names = '']) =>
    names.split(/[\s,]+/),
  );
  const head = Object.entries(HEAD).map(
    ([from, names]) =>
      `import { ${names.filter((name) => !imported.includes(name.replace('type ', ''))).join(', ')} } from '${from}';\n`,
  );
  return `${head.join('')}\n${code}\nexport {};\n`;
}

/** What the compiler has to say against these files. */
export function typeCheck(folder: string, name: string, files: readonly string[]): string {
  const config = {
    extends: '../../tsconfig.base.json',
    compilerOptions: {
      noEmit: true,
      declaration: false,
      declarationMap: false,
      sourceMap: false,
      allowImportingTsExtensions: true,
    },
    files,
  };
  writeFileSync(join(folder, name), JSON.stringify(config));
  const args = ['-p', join(folder, name), '--pretty', 'false'];
  return spawnSync(`${root}node_modules/.bin/tsc`, args, { encoding: 'utf8' }).stdout;
}

/** Runs a file to its end; answers what it printed. */
export function runToEnd(path: string, ...args: string[]): string {
  return spawnSync(process.execPath, [...NODE_ARGS, path, ...args], { cwd: root, encoding: 'utf8' }).stdout;
}

/** Serves a file of a page, on another port and in another process. */
export async function serve(blocks: readonly Block[], file: string): Promise<string> {
  const port = await freePort();
  const moved = mkdtempSync(`${root}test-results/snippet-app-`);
  for (const { file: name, code } of blocks) {
    if (name !== null) writeFileSync(join(moved, name), code.replaceAll(/\b3000\b/g, String(port)));
  }
  const child: ChildProcess = spawn(process.execPath, [...NODE_ARGS, join(moved, file)], {
    cwd: root,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  endWithUs(child);
  onTestFinished(async () => {
    const ended = new Promise((resolve) => child.once('exit', resolve));
    if (child.kill()) await ended;
    rmSync(moved, { recursive: true, force: true });
  });
  const api = `http://127.0.0.1:${port}/api/v1`;
  await waitUntil(`${file} answers`, async () => (await fetch(`${api}/plans`)).ok, { timeoutMs: 30_000 });
  return api;
}
