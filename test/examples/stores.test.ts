import { mkdtempSync, rmSync } from 'node:fs';
import { request } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { startPostgres, startRedis, waitUntil } from '../support/services.ts';
import { clientOf, press } from './example-client.ts';
import { type Example, startExample } from './start-example.ts';

type Client = ReturnType<typeof clientOf>;

// Servers and processes start here: on a busy machine that takes its time.
vi.setConfig({ testTimeout: 180_000 });

async function started(framework: 'express' | 'koa', env: Record<string, string>): Promise<Example> {
  const example = await startExample(framework, env);
  onTestFinished(async () => {
    await example.stop('SIGKILL');
  });
  return example;
}

function temporaryHome(): string {
  const folder = mkdtempSync(join(tmpdir(), 'tollgate-example-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function limitOf(client: Client, key = 'devices') {
  const { body } = await client('GET', '/orgs/acme/billing/usage');
  const item = body.items.find((use: { key: string }) => use.key === key);
  return { current: item.current, limit: item.limit.value };
}

async function buyPro(client: Client): Promise<void> {
  const { headers } = await client('POST', '/orgs/acme/billing/checkout', { tier_slug: 'pro' });
  await press(headers.get('location') ?? '', 'confirm');
  await waitUntil('pro applies', async () => (await limitOf(client)).limit === 50);
}

/** Posts as the member; resolves once the server says that it has the request. */
async function underWay(url: string) {
  const headers = { 'X-API-Key': 'demo-member', 'X-Org': 'acme', Expect: '100-continue' };
  const sent = request(url, { method: 'POST', headers, agent: false });
  const answer = new Promise<{ status: number | undefined; delay: unknown }>((resolve, reject) => {
    sent.once('error', reject);
    sent.once('response', (response) => {
      response.resume();
      const delay = response.headers['x-degradation-delay'];
      response.once('end', () => resolve({ status: response.statusCode, delay }));
    });
  });
  const arrived = new Promise((resolve) => sent.once('continue', resolve));
  sent.flushHeaders();
  await arrived;
  sent.end();
  return { answer };
}

/** Creates from both at once until each was refused; answers how many were made. */
async function race(clients: readonly Client[], path: string, each: number): Promise<number> {
  const answers = await Promise.all(
    clients.flatMap((client) => Array.from({ length: each }, () => client('POST', path))),
  );
  const statuses = answers.map((answer) => answer.status);
  expect(statuses.filter((status) => status !== 201 && status !== 429)).toEqual([]);
  return statuses.filter((status) => status === 201).length;
}

describe('two examples that share stores', () => {
  it('behave as one on Redis and Postgres: one limit, one plan, one set of rows', async () => {
    const redis = await startRedis();
    const postgres = await startPostgres();
    onTestFinished(async () => {
      await redis.stop();
      await postgres.stop();
    });
    const env = { REDIS_URL: redis.url, DATABASE_URL: postgres.url, HOME: temporaryHome() };
    const examples = await Promise.all([started('express', env), started('koa', env)]);
    const [first, second] = examples.map((example) => clientOf(example, 'demo-admin')) as [Client, Client];
    expect(examples[0].output()).toMatch(/counters Redis\n.*billing {2}Postgres\n.*rows {5}Postgres\n/);

    expect(await race([first, second], '/devices', 10)).toBe(3);
    expect((await first('GET', '/devices')).body).toEqual((await second('GET', '/devices')).body);
    await buyPro(first);
    await waitUntil('the other process knows', async () => (await limitOf(second)).limit === 50);
    expect(await race([first, second], '/devices', 40)).toBe(47);
    // The last commits of the other process may still be waiting for company.
    await waitUntil('every create is counted', async () => {
      expect(await limitOf(second)).toEqual({ current: 50, limit: 50 });
      return true;
    });

    const up = await second('POST', '/orgs/acme/billing/checkout', { tier_slug: 'business' });
    expect(up.body, 'the other process changes the subscription, it sells no second one').toMatchObject({
      tier_slug: 'business',
      status: 'active',
    });
    expect(up.headers.get('location')).toBeNull();
    for (const client of [first, second]) {
      await waitUntil('devices are unlimited', async () => (await limitOf(client)).limit === null);
    }
  });

  it('share one limit exactly on Redis alone, and make good for its loss', async () => {
    const redis = await startRedis();
    onTestFinished(() => redis.stop());
    const env = { REDIS_URL: redis.url };
    const examples = await Promise.all([started('koa', env), started('express', env)]);
    const [first, second] = examples.map((example) => clientOf(example, 'demo-admin')) as [Client, Client];
    expect(await race([first, second], '/entities', 10)).toBe(5);

    await redis.kill('SIGKILL');
    const away = await first('POST', '/entities');
    expect([away.status, away.body.error_code]).toEqual([503, 'quota_unavailable']);
    const again = await startRedis({ port: redis.port });
    onTestFinished(() => again.stop());
    await waitUntil('both rows of both are back', async () => {
      const { status, body } = await second('GET', '/entities');
      return status === 200 && body.items.length === 5;
    });
    await waitUntil('it counts again', async () => (await first('POST', '/entities')).status === 429);
    expect((await second('POST', '/entities')).status).toBe(429);
    const { id } = (await first('GET', '/entities')).body.items[0];
    expect((await second('DELETE', `/entities/${id}`)).status).toBe(204);
    // Express reports a delete once it has answered it: another process hears of it a moment later.
    await waitUntil('there is room', async () => (await first('POST', '/entities')).status === 201);
    expect((await second('POST', '/entities')).status).toBe(429);
  });

  it('share one limit exactly on Postgres alone', async () => {
    const postgres = await startPostgres();
    onTestFinished(() => postgres.stop());
    const env = { DATABASE_URL: postgres.url, HOME: temporaryHome() };
    const examples = await Promise.all([started('koa', env), started('express', env)]);
    expect(examples[1].output()).toContain('counters Postgres');
    const clients = examples.map((example) => clientOf(example, 'demo-admin'));
    expect(await race(clients, '/entities', 10)).toBe(5);
  });
});

describe('an example with DATA_DIR', () => {
  it('keeps plan, override, pins and rows over a SIGKILL and a restart (F25)', async () => {
    const folder = temporaryHome();
    const env = { DATA_DIR: folder };
    const before = await started('express', env);
    const admin = clientOf(before, 'demo-admin');
    const operator = clientOf(before, 'demo-operator');
    await buyPro(admin);
    const { id } = (await admin('POST', '/devices')).body;
    const override = { subject_type: 'org', subject_id: 'acme', quota_key: 'zones', limit_value: 9 };
    expect((await operator('POST', '/admin/quota_overrides', override)).status).toBe(200);
    const pin = { resource: 'devices', resource_id: id, keep: true };
    expect((await admin('POST', '/orgs/acme/billing/degradation/resource', pin)).status).toBe(200);
    const policy = { policy: 'oldest_first' };
    expect((await admin('PUT', '/orgs/acme/billing/degradation/policy', policy)).status).toBe(200);
    await before.stop('SIGKILL');

    const reader = clientOf(await started('express', env), 'demo-admin');
    expect((await reader('GET', '/orgs/acme/billing/plan')).body.tier_id).toBe('pro');
    expect(await limitOf(reader)).toEqual({ current: 1, limit: 50 });
    expect(await limitOf(reader, 'zones')).toEqual({ current: 0, limit: 9 });
    expect((await reader('GET', '/devices')).body.items).toMatchObject([{ id }]);
    expect((await reader('GET', '/orgs/acme/billing/degradation')).body.selection_policy).toBe(
      'oldest_first',
    );
    const down = await reader('POST', '/orgs/acme/billing/checkout', { tier_slug: 'free' });
    expect(down.status, 'the sandbox knows its subscription again').toBe(200);
    await waitUntil('free applies', async () => (await limitOf(reader)).limit === 3);
  });

  // Two processes on one embedded database lost each other's rows.
  it('has its folder to itself, and gives it back', async () => {
    const env = { DATA_DIR: temporaryHome() };
    const first = await started('express', env);
    await expect(started('koa', env)).rejects.toThrow(
      `DATA_DIR cannot be used: process ${first.process.pid} has it open.`,
    );
    expect(await first.stop()).toBe(0);
    await started('koa', env);
  });
});

describe('an example that is told to end', () => {
  it.each(['express', 'koa'] as const)(
    'on %s: lets requests end, keeps their units, exits with 0 (F33)',
    async (framework) => {
      const env = {
        TOLLGATE_WARNED_MS: '0',
        TOLLGATE_DEGRADED_MS: '1',
        TOLLGATE_SWEEP_MS: '100',
        TOLLGATE_MAX_DELAY_MS: '1500',
      };
      const example = await started(framework, env);
      const admin = clientOf(example, 'demo-admin');
      await buyPro(admin);
      for (let n = 0; n < 4; n += 1) await admin('POST', '/devices');
      await admin('POST', '/orgs/acme/billing/checkout', { tier_slug: 'free' });
      await waitUntil('doors open slowly', async () => {
        const { body } = await admin('GET', '/orgs/acme/billing/degradation');
        return body.degradation_level === 1;
      });
      const opens = await Promise.all(
        Array.from({ length: 20 }, () => underWay(`${example.api}/doors/front/open`)),
      );
      const begun = performance.now();
      const ended = example.stop('SIGTERM');
      const answers = await Promise.all(opens.map((open) => open.answer));
      expect(answers).toEqual(answers.map(() => ({ status: 200, delay: '1500' })));
      expect(await ended).toBe(0);
      expect(performance.now() - begun).toBeLessThan(10_000);
    },
  );
});
