import {
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { packAll, root, run, versionHere } from './packed-app.ts';

const PACKED = ['core', 'express', 'koa', 'postgres', 'redis', 'stripe'].map((name) => `@tollgate/${name}`);
const SECONDS = 1_000;

let folder: string;
let tarballs: ReadonlyMap<string, string>;

beforeAll(async () => {
  // Outside the checkout: nothing but what is in the tarballs can be found from here.
  folder = mkdtempSync(join(tmpdir(), 'tollgate-packed-'));
  tarballs = await packAll(folder);
}, 120 * SECONDS);
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** An app of a fixture, that installs tarballs beside dependencies of its own choice. */
async function installApp(
  name: string,
  fixture: string,
  packages: readonly string[],
  dependencies: Readonly<Record<string, string>>,
): Promise<string> {
  const app = join(folder, name);
  mkdirSync(app);
  cpSync(`${root}test/fixtures/${fixture}`, app, { recursive: true });
  const packed = Object.fromEntries(packages.map((one) => [one, `file:${tarballs.get(one)}`]));
  writeFileSync(
    join(app, 'package.json'),
    JSON.stringify({ name, private: true, dependencies: { ...packed, ...dependencies } }),
  );
  const args = [
    'install',
    '--prefer-offline',
    '--ignore-scripts',
    '--no-audit',
    '--no-fund',
    '--no-package-lock',
  ];
  await run('npm', args, app);
  return app;
}

const here = (...names: readonly string[]) => Object.fromEntries(names.map((one) => [one, versionHere(one)]));

it('packs every public package', () => {
  expect([...tarballs.keys()]).toEqual(expect.arrayContaining([...PACKED, '@tollgate/testing']));
});

it.each([...PACKED, '@tollgate/testing'])(
  '%s is only for a Node whose `require` takes ES modules',
  (name) => {
    const manifest = readFileSync(`${root}packages/${name.slice('@tollgate/'.length)}/package.json`, 'utf8');
    expect(JSON.parse(manifest).engines).toEqual({ node: '^20.19.0 || >=22.12.0' });
  },
);

it.each([...PACKED, '@tollgate/testing'])(
  '%s declares all that its types are made of, so that each app of a monorepo finds its own',
  (name) => {
    const at = `${root}packages/${name.slice('@tollgate/'.length)}`;
    const { dependencies, peerDependencies } = JSON.parse(readFileSync(`${at}/package.json`, 'utf8'));
    const declared = Object.keys({ ...dependencies, ...peerDependencies });
    const files = readdirSync(`${at}/dist`, { recursive: true, encoding: 'utf8' });
    const texts = files
      .filter((file) => file.endsWith('.d.ts'))
      .map((file) => readFileSync(join(at, 'dist', file), 'utf8'));
    const imported = texts.flatMap((text) => [
      ...text.matchAll(/(?:from|import\() ?'(?!node:)((?:@[\w-]+\/)?[\w-]+)/g),
    ]);
    const needed = imported.flatMap(([, from = '']) =>
      existsSync(`${root}node_modules/@types/${from}`) ? [from, `@types/${from}`] : [from],
    );
    expect(needed.filter((one) => !declared.includes(one))).toEqual([]);
  },
);

describe.each([
  ['express 5 and koa 3', () => ({ express: versionHere('express'), koa: versionHere('koa') })],
  ['express 4 and koa 2', () => ({ express: versionHere('express4'), koa: versionHere('koa2') })],
])('installed from the tarballs beside %s', (name, frameworks) => {
  let app: string;
  beforeAll(async () => {
    const types = name.includes('4') ? ['@types/express4', '@types/koa2'] : ['@types/express', '@types/koa'];
    app = await installApp(name.replaceAll(' ', '-'), 'packages', PACKED, {
      ...frameworks(),
      ...here('@koa/router', 'ioredis', 'pg', 'stripe', 'zod', 'typescript', '@types/node', '@types/pg'),
      '@types/express': versionHere(types[0] ?? ''),
      '@types/koa': versionHere(types[1] ?? ''),
    });
  }, 120 * SECONDS);

  it.each([
    ['ESM', 'app.mjs', 'esm'],
    ['CommonJS', 'app.cjs', 'cjs'],
  ])(
    'an app in %s guards its creates',
    async (_system, file, prefix) => {
      expect(await run(process.execPath, [file], app)).toBe(
        `${prefix} express 201 201 429 200\n${prefix} koa 201 201 429 200\nfunction function true\n`,
      );
    },
    30 * SECONDS,
  );

  it(
    'an app in TypeScript compiles, and one with a misspelt key does not',
    async () => {
      const options = {
        compilerOptions: {
          module: 'nodenext',
          target: 'es2023',
          strict: true,
          noEmit: true,
          skipLibCheck: true,
          types: ['node'],
        },
        files: ['app.mts', 'app.cts'],
      };
      writeFileSync(join(app, 'tsconfig.json'), JSON.stringify(options));
      expect(await run(join(app, 'node_modules/.bin/tsc'), ['--pretty', 'false'], app)).toBe('');
    },
    60 * SECONDS,
  );
});

describe('@tollgate/testing installed without Vitest', () => {
  let app: string;
  beforeAll(async () => {
    app = await installApp('node-test', 'node-test', ['@tollgate/core', '@tollgate/testing'], {
      ...here('fast-check', 'zod', 'typescript', '@types/node'),
    });
    // A dependency of the main entry alone.
    rmSync(join(app, 'node_modules/fast-check'), { recursive: true });
  }, 120 * SECONDS);

  it('does not have npm install Vitest', () => {
    expect(existsSync(join(app, 'node_modules/@tollgate/testing'))).toBe(true);
    expect(existsSync(join(app, 'node_modules/vitest'))).toBe(false);
  });

  it(
    'has a stand-in for Stripe and a clock for `node:test`',
    async () => {
      const report = await run(process.execPath, ['--test', '--test-reporter=tap', 'app.test.mjs'], app);
      expect(report).toMatch(/^# pass 2$/m);
    },
    30 * SECONDS,
  );

  it(
    'has types that need no Vitest either',
    async () => {
      const compilerOptions = {
        module: 'nodenext',
        target: 'es2023',
        strict: true,
        noEmit: true,
        types: ['node'],
      };
      writeFileSync(join(app, 'tsconfig.json'), JSON.stringify({ compilerOptions, files: ['app.mts'] }));
      expect(await run(join(app, 'node_modules/.bin/tsc'), ['--pretty', 'false'], app)).toBe('');
    },
    60 * SECONDS,
  );
});
