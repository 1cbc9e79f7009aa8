import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest';
import { waitUntil } from '../support/services.ts';
import { type Answer, clientOf, press } from './example-client.ts';
import { type Example, startExample } from './start-example.ts';

type Client = ReturnType<typeof clientOf>;

async function useOf(client: Client, org: string, key: string) {
  const { body } = await client('GET', `/orgs/${org}/billing/usage`);
  return body.items.find((item: { key: string }) => item.key === key);
}

async function buy(client: Client, org: string, tier: string): Promise<Answer> {
  const checkout = await client('POST', `/orgs/${org}/billing/checkout`, { tier_slug: tier });
  expect(checkout.status).toBe(200);
  return checkout;
}

describe.each(['express', 'koa'] as const)('the example on %s, on embedded defaults', (framework) => {
  let example: Example;
  let admin: Client;
  let other: Client;

  beforeAll(async () => {
    example = await startExample(framework);
    admin = clientOf(example, 'demo-admin');
    other = clientOf(example, 'demo-other', 'globex');
  });
  afterAll(async () => {
    expect(await example.stop(), example.output()).toBe(0);
  });

  it('says where it listens, what it runs on, and what to try', () => {
    expect(example.output()).toContain(example.origin);
    for (const line of [
      'counters memory',
      'billing  memory, of this process',
      'rows     memory',
      'payments sandbox at http://127.0.0.1:',
    ]) {
      expect(example.output()).toContain(line);
    }
    expect(example.output().match(/^ {2}curl /gm)).toHaveLength(3);
  });

  it('tells the whole story: create until the limit, buy, go on, go back, and see what is too much', async () => {
    for (const remaining of [2, 1, 0]) {
      const made = await admin('POST', '/devices', { name: `Lamp ${remaining}` });
      expect(made.status).toBe(201);
      expect(made.body).toMatchObject({
        id: expect.stringMatching(/^dev_/),
        last_used_at: null,
        suspended: false,
      });
      expect(made.headers.get('ratelimit-policy')).toBe('"devices";q=3');
      expect(made.headers.get('ratelimit')).toBe(`"devices";r=${remaining}`);
    }
    const refused = await admin('POST', '/devices');
    expect(refused.status).toBe(429);
    expect(refused.body).toEqual({
      error_code: 'quota_exceeded',
      message: expect.any(String),
      correlationId: refused.headers.get('x-request-id'),
    });
    expect(refused.headers.get('ratelimit')).toBe('"devices";r=0');
    expect(refused.headers.get('link')).toBe('</api/v1/orgs/acme/billing/upgrade-options>; rel="upgrade"');
    expect(refused.headers.get('retry-after')).toBeNull();

    const options = await admin('GET', '/orgs/acme/billing/upgrade-options');
    expect(options.body.plans.map((plan: { slug: string }) => plan.slug)).toEqual(['pro', 'business']);

    const checkout = await buy(admin, 'acme', 'pro');
    expect(checkout.body).toMatchObject({ provider: 'sandbox', tier_slug: 'pro', status: 'pending' });
    const page = checkout.headers.get('location') ?? '';
    expect(await (await fetch(page)).text()).toContain('Confirm your plan');
    expect((await admin('POST', '/devices')).status, 'nothing is bought yet').toBe(429);
    const back = await press(page, 'confirm');
    expect(back.status).toBe(303);
    expect(back.headers.get('location')).toContain(`${example.origin}/?checkout=success&session_id=`);

    await waitUntil(
      'the webhook has come',
      async () => (await useOf(admin, 'acme', 'devices')).limit.value === 50,
    );
    expect(await useOf(admin, 'acme', 'devices')).toMatchObject({
      current: 3,
      limit: { value: 50, source: { kind: 'tier', slug: 'pro' } },
    });
    expect((await admin('POST', '/devices')).status).toBe(201);
    expect((await admin('POST', '/devices')).status).toBe(201);

    const down = await buy(admin, 'acme', 'free');
    expect(down.headers.get('location')).toBeNull();
    await waitUntil(
      'the plan is free again',
      async () => (await useOf(admin, 'acme', 'devices')).limit.value === 3,
    );
    const usage = await admin('GET', '/orgs/acme/billing/usage');
    expect(usage.body.degradation).toMatchObject({
      stage: 'warned',
      over_capacity: true,
      overages: [{ key: 'devices', current: 5, limit: 3, excess: 2 }],
    });
    const devices = (await admin('GET', '/devices')).body.items as { id: string }[];
    const flagged = usage.body.degradation.flagged.map((row: { id: string }) => row.id);
    expect(new Set(flagged), 'the newest two').toEqual(new Set(devices.slice(3).map((device) => device.id)));
    expect((await admin('POST', '/devices')).status).toBe(429);

    for (const { id } of devices.slice(2)) expect((await admin('DELETE', `/devices/${id}`)).status).toBe(204);
    expect((await admin('GET', '/orgs/acme/billing/usage')).body.degradation).toBeNull();
    expect((await admin('POST', '/devices')).status, 'a deleted device makes room').toBe(201);
    expect((await admin('POST', '/devices')).status).toBe(429);
  });

  it.each([
    ['/zones', 2],
    ['/entities', 5],
    ['/integrations', 1],
    ['/api-keys', 2],
  ])('lets a free org have as many of %s as its plan says', async (path, limit) => {
    for (let n = 0; n < limit; n++) expect((await other('POST', path)).status).toBe(201);
    expect((await other('POST', path)).body.error_code).toBe('quota_exceeded');
    const { items } = (await other('GET', path)).body;
    expect(items).toHaveLength(limit);
    expect((await other('DELETE', `${path}/${items[0].id}`)).status).toBe(204);
    expect((await other('DELETE', `${path}/${items[0].id}`)).body.error_code).toBe('resource_not_found');
    expect((await other('POST', path)).status).toBe(201);
  });

  it('counts door opens by day and by month, and says when the day refills', async () => {
    for (let n = 0; n < 20; n++) expect((await other('POST', '/doors/front/open')).status).toBe(200);
    const refused = await other('POST', '/doors/front/open');
    expect(refused.body.error_code).toBe('quota_exceeded');
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    const { items } = (await other('GET', '/orgs/globex/billing/usage')).body;
    const opens = items.filter((item: { key: string }) => item.key === 'door_opens');
    expect(opens.map((item: { period: string; current: number }) => [item.period, item.current])).toEqual([
      ['day', 20],
      ['month', 20],
    ]);
  });

  it('charges a sub-org to its parent, whom the free plan allows none', async () => {
    expect((await other('POST', '/orgs/globex/sub-orgs')).body.error_code).toBe('quota_exceeded');
    const checkout = await buy(other, 'globex', 'pro');
    await press(checkout.headers.get('location') ?? '', 'confirm');
    await waitUntil(
      'pro allows two',
      async () => (await useOf(other, 'globex', 'organizations')).limit.value === 2,
    );
    const made = await other('POST', '/orgs/globex/sub-orgs', { name: 'Branch' });
    expect(made.status).toBe(201);
    expect(await useOf(other, 'globex', 'organizations')).toMatchObject({ current: 1 });
    expect((await other('DELETE', `/orgs/globex/sub-orgs/${made.body.id}`)).status).toBe(204);
    expect(await useOf(other, 'globex', 'organizations')).toMatchObject({ current: 0 });
  });

  it('counts the use of a row', async () => {
    const { id } = (await other('POST', '/devices')).body;
    expect((await other('GET', `/devices/${id}`)).body.last_used_at).not.toBeNull();
    const row = (await other('GET', '/devices')).body.items.find((item: { id: string }) => item.id === id);
    expect(row.last_used_at).not.toBeNull();
  });

  it('lets a member read and not manage, and nobody look into an org of somebody else (A1)', async () => {
    const member = clientOf(example, 'demo-member');
    expect((await member('GET', '/orgs/acme/billing/plan')).status).toBe(200);
    const managed = await member('POST', '/orgs/acme/billing/checkout', { tier_slug: 'pro' });
    expect([managed.status, managed.body.error_code]).toEqual([403, 'forbidden']);
    const stranger = clientOf(example, 'demo-other', 'acme');
    for (const path of [
      '/orgs/acme/billing/plan',
      '/orgs/acme/billing/usage',
      '/devices',
      '/orgs/acme/sub-orgs',
    ]) {
      const { status, body } = await stranger('GET', path);
      expect([path, status, body.error_code]).toEqual([path, 403, 'forbidden']);
    }
    const before = await useOf(admin, 'acme', 'zones');
    for (const path of ['/zones', '/doors/front/open', '/orgs/acme/sub-orgs']) {
      expect((await stranger('POST', path)).status).toBe(403);
    }
    expect(await useOf(admin, 'acme', 'zones'), 'a refused stranger charges nobody').toEqual(before);
  });

  it('answers nobody without a credential, and takes the key in either header', async () => {
    const nobody = clientOf(example, null);
    expect((await nobody('POST', '/devices')).body.error_code).toBe('unauthorized');
    expect((await clientOf(example, 'wrong')('GET', '/devices')).status).toBe(401);
    const bearer = await fetch(`${example.api}/zones`, {
      headers: { Authorization: 'Bearer demo-member', 'X-Org': 'acme' },
    });
    expect(bearer.status).toBe(200);
  });

  it('lets the operator override a limit, and nobody else', async () => {
    const operator = clientOf(example, 'demo-operator');
    const wanted = { subject_type: 'org', subject_id: 'globex', quota_key: 'api_keys', limit_value: 7 };
    expect((await admin('POST', '/admin/quota_overrides', wanted)).status).toBe(403);
    expect((await operator('POST', '/admin/quota_overrides', wanted)).status).toBe(200);
    expect((await useOf(other, 'globex', 'api_keys')).limit).toMatchObject({
      value: 7,
      source: { kind: 'override' },
    });
    expect((await operator('GET', '/orgs/acme/billing/plan')).status).toBe(403);
  });

  it('refuses bad input of its own routes in the shape of all others', async () => {
    const send = (body: string) =>
      fetch(`${example.api}/zones`, {
        method: 'POST',
        body,
        headers: { 'X-API-Key': 'demo-admin', 'X-Org': 'acme', 'Content-Type': 'application/json' },
      });
    const before = await useOf(admin, 'acme', 'zones');
    for (const body of ['{"name":', '{"name":""}', '{"name":7}', '"text"']) {
      const answer = await send(body);
      expect([body, answer.status, await answer.json()]).toEqual([
        body,
        400,
        { error_code: 'invalid_request', message: expect.any(String), correlationId: expect.any(String) },
      ]);
    }
    expect(await useOf(admin, 'acme', 'zones'), 'units of a 4xx come back').toEqual(before);
    const lost = await admin('GET', '/nowhere');
    expect([lost.status, lost.body.error_code]).toEqual([404, 'not_found']);
    const orgless = await fetch(`${example.api}/zones`, { headers: { 'X-API-Key': 'demo-admin' } });
    expect(await orgless.json()).toMatchObject({ error_code: 'invalid_org_id' });
  });

  it('serves a page that loads nothing from elsewhere and runs no inline script', async () => {
    const page = await fetch(`${example.origin}/`);
    expect(page.headers.get('content-security-policy')).toMatch(/default-src 'none'; script-src 'self';/);
    const html = await page.text();
    expect(html).not.toMatch(/<script(?![^>]* src=)|https?:\/\/| on\w+=| style=/);
    for (const file of ['/page.js', '/page.css'])
      expect((await fetch(`${example.origin}${file}`)).status).toBe(200);
  });
});

describe('an example that cannot start', () => {
  it('says in plain words what is wrong with its environment', async () => {
    await expect(
      startExample('express', {
        TOLLGATE_WARNED_MS: 'soon',
        DATABASE_URL: 'postgres://127.0.0.1/x',
        DATA_DIR: 'y',
      }),
    ).rejects.toThrow(
      /TOLLGATE_WARNED_MS must be a whole number.*\n.*DATABASE_URL and DATA_DIR are both set/,
    );
  });

  // An address that is none was taken for an outage: every create was answered 503.
  it.each([
    ['REDIS_URL', 'localhost:6379', 'REDIS_URL must be an address such as redis://'],
    ['REDIS_URL', 'http://127.0.0.1:6379', 'REDIS_URL must be an address such as redis://'],
    ['DATABASE_URL', 'nonsense', 'DATABASE_URL must be an address such as postgres://'],
    ['DATABASE_URL', 'postgres://127.0.0.1:1/x', 'DATABASE_URL cannot be used: '],
    ['DATA_DIR', '/dev/null', 'DATA_DIR cannot be used: '],
    ['HOST', 'elsewhere.test', 'HOST must be one of '],
    ['PORT', '0', 'PORT must be a whole number from 1 to 65535'],
  ])('names the variable where %s=%s', async (name, value, sentence) => {
    await expect(startExample('koa', { [name]: value })).rejects.toThrow(sentence);
  });

  it('names PORT where somebody else has it', async () => {
    const taken = createServer((_request, response) => response.writeHead(404).end());
    await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
    onTestFinished(() => {
      taken.closeAllConnections();
      taken.close();
    });
    const PORT = String((taken.address() as AddressInfo).port);
    const starting = startExample('express', { PORT });
    await expect(starting).rejects.toThrow('PORT cannot be used: listen EADDRINUSE');
  });
});
