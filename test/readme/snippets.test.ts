import { spawnSync } from 'node:child_process';
import { existsSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type BillingOptions, createBilling } from '@tollgate/core';
import { afterAll, beforeAll, describe, expect, it, onTestFinished, vi } from 'vitest';
import { startExample } from '../examples/start-example.ts';
import { waitUntil } from '../support/services.ts';
import { fencedBlocks, readPage, root } from './fenced-blocks.ts';
import { fragmentName, runToEnd, serve, snippetFolder, typeCheck } from './run-snippets.ts';

vi.setConfig({ testTimeout: 60_000 });

const pages = [
  'README.md',
  'docs/adopting.md',
  'docs/guarding.md',
  'docs/granting.md',
  'docs/failures.md',
  'docs/over-capacity.md',
  'docs/stripe.md',
  'docs/errors.md',
  'docs/telemetry.md',
  'docs/changing-configuration.md',
  'docs/support.md',
];
const blocks = pages.flatMap((page) => fencedBlocks(page, 'ts'));
let folder: string;

beforeAll(() => {
  folder = snippetFolder(blocks);
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

/** What `createBilling` says of options. */
function faultsOf(options: object): string {
  try {
    createBilling(options as BillingOptions);
    return '';
  } catch (error) {
    return String(error);
  }
}

const UNITS: Readonly<Record<string, number>> = {
  s: 1_000,
  min: 60_000,
  minutes: 60_000,
  day: 86_400_000,
  days: 86_400_000,
  MiB: 1_048_576,
};

/** A number as a table says it: `1,000`, `30 s`. */
function numberIn(text = ''): number {
  const [, digits = '', unit = ''] = /^([\d,]+)(?: (\w+))?$/.exec(text) ?? [];
  return Number(digits.replaceAll(',', '')) * (UNITS[unit] ?? 1);
}

describe('the TypeScript of README and docs', () => {
  it('compiles: whole files as they stand, fragments with what they take for granted', () => {
    const whole = blocks.flatMap(({ file }) => file ?? []).filter((file) => file !== 'register.ts');
    expect(whole.sort()).toEqual(['billing.ts', 'express.ts', 'koa.ts', 'telemetry.ts']);
    expect(typeCheck(folder, 'whole.json', whole)).toBe('');
    const fragments = blocks.flatMap(({ file }, i) => (file === null ? [fragmentName(i)] : []));
    expect(fragments.length).toBeGreaterThan(8);
    expect(typeCheck(folder, 'fragments.json', ['fragments.d.ts', ...fragments])).toBe('');
    // The compiler runs twice over all packages.
  }, 180_000);

  it('keeps its promise: with registered keys a misspelt one does not compile', () => {
    writeFileSync(
      join(folder, 'misspelt.ts'),
      "import { requireQuota } from '@tollgate/express';\nimport './register.ts';\nrequireQuota('devices');\nrequireQuota('devcies');\n",
    );
    const complaints = typeCheck(folder, 'misspelt.json', ['misspelt.ts']);
    expect(complaints.match(/error TS\d+/g)).toHaveLength(1);
    expect(complaints).toMatch(/misspelt\.ts\(4,/);
  });

  it('lets nobody pass the access hook of "Authentication" as an operator, an admin who has no org least of all', () => {
    const code = blocks
      .find((block) => block.code.includes('const userOf'))
      ?.code.replace(/^import .*$/gm, '');
    const calls = ['billing:read', 'billing:manage', 'operator'].flatMap((permission) =>
      [null, undefined, 'acme'].map((own) => {
        const user = { id: 'ann', org: own, isAdmin: true };
        return { request: { native: { user } }, org: permission === 'operator' ? null : 'acme', permission };
      }),
    );
    const called = `
      const options = {};
      const createBilling = (given: any) => given;
      ${code}
      for (const call of JSON.parse(process.argv[2] ?? ''))
        if (billing.access(call).allowed) console.log(call.permission, call.request.native.user.org);
    `;
    writeFileSync(join(folder, 'who-calls.ts'), called);
    expect(runToEnd(join(folder, 'who-calls.ts'), JSON.stringify(calls))).toBe(
      'billing:read acme\nbilling:manage acme\n',
    );
  });

  it.each(['express.ts', 'koa.ts'])('runs: the app of %s guards its limit of three', async (file) => {
    const api = await serve(blocks, file);
    const headers = { 'X-API-Key': 'secret' };
    expect((await fetch(`${api}/devices`, { method: 'POST' })).status).toBe(401);
    const create = () => fetch(`${api}/devices`, { method: 'POST', headers });
    const made = [await create(), await create(), await create()];
    expect(made.map((answer) => answer.status)).toEqual([201, 201, 201]);
    const refused = await create();
    expect(refused.status).toBe(429);
    expect(refused.headers.get('link')).toBe('</api/v1/orgs/acme/billing/upgrade-options>; rel="upgrade"');
    const [first] = await Promise.all(made.map((answer) => answer.json()));
    const { id } = first as { id: string };
    expect((await fetch(`${api}/devices/${id}`, { method: 'DELETE', headers })).status).toBe(204);
    expect((await create()).status).toBe(201);
    const usage = await fetch(`${api}/orgs/acme/billing/usage`, { headers });
    expect(await usage.json()).toMatchObject({
      tier_slug: 'free',
      items: [{ key: 'devices', current: 3 }, {}],
    });
    const checkout = await fetch(`${api}/orgs/acme/billing/checkout`, {
      method: 'POST',
      headers: { ...headers, 'Content-Type': 'application/json' },
      body: '{"tier_slug":"pro"}',
    });
    await fetch(checkout.headers.get('location') ?? '', {
      method: 'POST',
      body: new URLSearchParams({ action: 'confirm' }),
    });
    await waitUntil('pro applies', async () => (await create()).status === 201);
  });
});

describe('the calls of the README', () => {
  it('tell the story they promise, run by a shell against the example', async () => {
    const example = await startExample('express');
    onTestFinished(async () => {
      await example.stop();
    });
    const [create, checkout, confirm] = fencedBlocks('README.md', 'sh')
      .filter(({ code }) => code.startsWith('curl '))
      .map(({ code }) => code.replaceAll('http://127.0.0.1:3000', example.origin));
    const run = (command: string | undefined, env: Record<string, string> = {}) => {
      const { stdout } = spawnSync('sh', ['-c', command ?? 'false'], {
        encoding: 'utf8',
        env: { ...process.env, ...env },
      });
      return { status: Number(/^HTTP\/1\.1 (\d+)/.exec(stdout)?.[1]), stdout };
    };
    for (const status of [201, 201, 201, 429]) expect(run(create).status).toBe(status);
    expect(run(create).stdout).toMatch(/ratelimit: "devices";r=0[\s\S]*quota_exceeded/i);
    const bought = run(checkout);
    expect(bought.status).toBe(200);
    const LOCATION = /^location: (\S+)/im.exec(bought.stdout)?.[1] ?? '';
    expect(run(confirm, { LOCATION }).status).toBe(303);
    await waitUntil('the limit is fifty', () => run(create).status === 201);
  });
});

describe('the pages', () => {
  it('list in the README every option there is, and no other', () => {
    const source = readPage('packages/core/src/options.ts');
    const body = /export interface BillingOptions[^{]*\{(.*?)^\}/ms.exec(source)?.[1] ?? '';
    const options = [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map((match) => match[1]);
    const table = readPage('README.md').split('## Options')[1]?.split('\n## ')[0] ?? '';
    const listed = [...table.matchAll(/^\| ([^|]+) \|/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`(\w+)`/g)].map((match) => match[1]),
    );
    expect(options.length).toBeGreaterThan(20);
    expect(listed.sort()).toEqual(options.sort());
  });

  it('list in docs/guarding.md every option of a guard', () => {
    const source = readPage('packages/core/src/guard/guard-options.ts');
    const body = /export interface GuardOptions[^{]*\{(.*?)^\}/ms.exec(source)?.[1] ?? '';
    const options = [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map((match) => match[1]);
    const table = readPage('docs/guarding.md').split('## What it takes')[1]?.split('\nEach is')[0] ?? '';
    const listed = [...table.matchAll(/^\| `(\w+)` \|/gm)].map((match) => match[1]);
    expect(options.length).toBeGreaterThan(5);
    expect(listed.sort()).toEqual(options.sort());
  });

  it('list in docs/over-capacity.md every option of the lifecycle', () => {
    const source = readPage('packages/core/src/options.ts');
    const tables = readPage('docs/over-capacity.md');
    for (const [name, column] of [
      ['OverCapacityOptions', 'option of `overCapacity`'],
      ['LifecycleOptions', 'option of `lifecycle`'],
    ] as const) {
      const body = new RegExp(`export interface ${name}[^{]*\\{(.*?)^\\}`, 'ms').exec(source)?.[1] ?? '';
      const options = [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map((match) => match[1]);
      const table = tables.split(`| ${column} |`)[1]?.split('\n\n')[0] ?? '';
      const listed = [...table.matchAll(/^\| ([^|]+) \|/gm)].flatMap(([, cell = '']) =>
        [...cell.matchAll(/`(\w+)`/g)].map((match) => match[1]),
      );
      expect(options.length).toBeGreaterThan(3);
      expect(listed.sort()).toEqual(options.sort());
    }
  });

  it('say of every option that is a number the default that it has', () => {
    const source = readPage('packages/core/src/options.ts');
    const numbers = [...source.matchAll(/readonly (\w+)\?: number;/g)].map(([, name = '']) => name);
    const wrong = Object.fromEntries(numbers.map((name) => [name, -1]));
    const faults = faultsOf({ ...wrong, overCapacity: wrong, lifecycle: wrong });
    const defaults = Object.fromEntries(
      [...faults.matchAll(/(\w+): must be a whole number .* The default is (\d+)\./g)].map(
        ([, name = '', value]) => [name, Number(value)],
      ),
    );
    expect(Object.keys(defaults).sort()).toEqual(numbers.sort());
    const beside = [
      ...source.matchAll(/@default ([\d_]+)(?: \([^)]*\))? \*\/\s+readonly (\w+)\?: number;/g),
    ].map(([, value = '', name = '']) => [name, Number(value.replaceAll('_', ''))]);
    expect(Object.fromEntries(beside)).toEqual(defaults);
    const tables = readPage('README.md') + readPage('docs/over-capacity.md');
    const listed = [...tables.matchAll(/^\| (`[^|]+) \| [^|]+ \| ([^|]+) \|$/gm)].flatMap(
      ([, names = '', values = '']) =>
        [...names.matchAll(/`(\w+)`/g)].map(([, name = ''], i) => [name, numberIn(values.split(', ')[i])]),
    );
    expect(Object.fromEntries(listed)).toMatchObject(defaults);
  });

  it('list in docs/stripe.md every option, and every event that is done', () => {
    const source = readPage('packages/stripe/src/stripe-options.ts');
    const body = /export interface StripeOptions[^{]*\{(.*?)^\}/ms.exec(source)?.[1] ?? '';
    const options = [...body.matchAll(/^ {2}readonly (\w+)\??:/gm)].map((match) => match[1]);
    const page = readPage('docs/stripe.md');
    const table = page.split('## Options')[1]?.split('\nFrom code')[0] ?? '';
    const listed = [...table.matchAll(/^\| (`[^|]+) \|/gm)].flatMap(([, cell = '']) =>
      [...cell.matchAll(/`(\w+)`/g)].map((match) => match[1]),
    );
    expect(options.length).toBeGreaterThan(20);
    expect(listed.sort()).toEqual(options.sort());
    const kinds = /EVENT_TYPES = \[(.*?)\]/s.exec(readPage('packages/stripe/src/event-kinds.ts'))?.[1] ?? '';
    const events = [...kinds.matchAll(/'([\w.]+)'/g)].map((match) => match[1]);
    const asked = page.split('with these events:')[1]?.split('Others do no harm')[0] ?? '';
    expect(events.length).toBeGreaterThan(10);
    expect([...asked.matchAll(/`([\w.]+)`/g)].map((match) => match[1])).toEqual(events);
  });

  it('and the linter, which holds the imports to ARCHITECTURE.md, name files that there are', () => {
    const named = [...readPage('biome.json').matchAll(/"(?:\.\.\/)+([\w-]+\.ts)"/g)].map(
      ([, name = '']) => name,
    );
    expect(named).toContain('create-billing.ts');
    expect(named.filter((name) => !existsSync(`${root}packages/core/src/${name}`))).toEqual([]);
  });

  it.each([...pages, 'ARCHITECTURE.md', 'CONTRIBUTING.md'])('%s links to what there is', (page) => {
    const links = [...readPage(page).matchAll(/\]\((?!https?:|#)([^)#]+)/g)].map((match) => match[1] ?? '');
    const from = join(root, page, '..');
    expect(links.filter((link) => !existsSync(join(from, link)))).toEqual([]);
  });
});
