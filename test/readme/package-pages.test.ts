import { readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, vi } from 'vitest';
import { fencedBlocks, readPage, root } from './fenced-blocks.ts';
import { fragmentName, runToEnd, serve, snippetFolder, typeCheck } from './run-snippets.ts';

vi.setConfig({ testTimeout: 60_000 });

const packages = readdirSync(`${root}packages`);
const pageOf = (name: string) => `packages/${name}/README.md`;

interface Manifest {
  readonly peerDependencies?: Readonly<Record<string, string>>;
  readonly peerDependenciesMeta?: Readonly<Record<string, { readonly optional?: boolean }>>;
}

describe.each(packages)('the page of @tollgate/%s', (name) => {
  const page = pageOf(name);
  const blocks = fencedBlocks(page, 'ts');
  let folder: string;
  beforeAll(() => {
    folder = snippetFolder(blocks);
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it('has TypeScript that compiles', () => {
    const files = blocks.map(({ file }, i) => file ?? fragmentName(i));
    expect(files).not.toEqual([]);
    expect(typeCheck(folder, 'page.json', ['fragments.d.ts', ...files])).toBe('');
  });

  it('guards no route of Express that does not pass the router: it would find no engine', () => {
    for (const { code } of blocks) {
      const mount = /app\.use\('(.+?)', billingRouter/.exec(code)?.[1] ?? '';
      for (const [, path = ''] of code.matchAll(
        /app\.\w+\('(.+?)', (?:requireQuota|releaseQuota|friction)\(/g,
      ))
        expect(path.startsWith(mount), path).toBe(true);
    }
  });

  it('installs the package with every peer that is no option', () => {
    const manifest: Manifest = JSON.parse(readFileSync(`${root}packages/${name}/package.json`, 'utf8'));
    const peers = Object.keys(manifest.peerDependencies ?? {});
    const needed = peers.filter((peer) => manifest.peerDependenciesMeta?.[peer]?.optional !== true);
    const [install] = fencedBlocks(page, 'sh');
    expect(install?.code.trim().split(' ')).toEqual(
      expect.arrayContaining(['npm', 'install', `@tollgate/${name}`, ...needed]),
    );
  });

  it('names exports there are, and leaves out none that an app may want', async () => {
    const exported = Object.keys(await import(`@tollgate/${name}`));
    const text = readPage(page);
    const table = /\| export \| is \|\n(?:\|.*\n)+/.exec(text)?.[0] ?? '';
    const listed = [...table.matchAll(/^\| ([^|]+) \|/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`(\w+)/g)].map((match) => match[1] ?? ''),
    );
    // Types are no values: those are the words with a capital that are not exported as such.
    const values = listed.filter((one) => exported.includes(one) || !/^[A-Z][a-z]/.test(one));
    expect(values.filter((one) => !exported.includes(one))).toEqual([]);
    // The rest of core is for adapters and stores.
    if (name !== 'core') expect(exported.filter((one) => !text.includes(`\`${one}`))).toEqual([]);
  });

  it('has no link into the repository, which a reader on npm could not follow', () => {
    expect([...readPage(page).matchAll(/\]\((?!https:|#)/g)]).toEqual([]);
  });
});

it.each(['module', 'commonjs'])(
  'the app of @tollgate/core prints what it says, in a package of type %s',
  (type) => {
    const blocks = fencedBlocks(pageOf('core'), 'ts');
    const folder = snippetFolder(blocks);
    // As `npm init` makes it, of type commonjs.
    writeFileSync(join(folder, 'package.json'), JSON.stringify({ type }));
    expect(runToEnd(join(folder, 'devices.ts'))).toBe('true true false\n');
    rmSync(folder, { recursive: true });
  },
);

it.each(['express', 'koa'])('the app of @tollgate/%s guards its limit of three', async (name) => {
  const api = await serve(fencedBlocks(pageOf(name), 'ts'), 'app.ts');
  const headers = { 'X-API-Key': 'secret' };
  const create = () => fetch(`${api}/devices`, { method: 'POST', headers });
  expect((await fetch(`${api}/devices`, { method: 'POST' })).status).toBe(401);
  const made = [await create(), await create(), await create()];
  expect(made.map((answer) => answer.status)).toEqual([201, 201, 201]);
  const refused = await create();
  expect(refused.status).toBe(429);
  expect(refused.headers.get('ratelimit')).toBe('"devices";r=0');
  const [first] = await Promise.all(made.map((answer) => answer.json()));
  const { id } = first as { id: string };
  expect((await fetch(`${api}/devices/${id}`, { method: 'DELETE', headers })).status).toBe(204);
  expect((await create()).status).toBe(201);
  const usage = await fetch(`${api}/orgs/acme/billing/usage`, { headers });
  expect(await usage.json()).toMatchObject({ tier_slug: 'free', items: [{ key: 'devices', current: 3 }] });
});

it('@tollgate/stripe asks for the events that docs/stripe.md lists', () => {
  const eventsOf = (page: string) =>
    [
      ...readPage(page).matchAll(
        /`((?:checkout\.session|customer\.subscription|invoice|subscription_schedule)\.\w+)`/g,
      ),
    ]
      .map((match) => match[1])
      .filter((event, i, all) => all.indexOf(event) === i)
      .sort();
  expect(eventsOf(pageOf('stripe')).length).toBeGreaterThan(10);
  expect(eventsOf(pageOf('stripe'))).toEqual(eventsOf('docs/stripe.md'));
});
