import {
  type Billing,
  createBilling,
  type HttpRequest,
  memoryBillingRepository,
  TollgateError,
} from '@tollgate/core';
import { billingRouter as expressRouter } from '@tollgate/express';
import { billingRouter as koaRouter } from '@tollgate/koa';
import { type RawRequest, rawBytes, type ServerFixture, serverFixture } from '@tollgate/testing';
import express from 'express';
import Koa from 'koa';
import { describe, expect, test } from 'vitest';
import { inProcess } from './in-process.ts';
import { checkWire } from './wire-schemas.ts';

const servers = {
  Express: (billing: Billing) => inProcess(express().use(expressRouter(billing))),
  Koa: (billing: Billing) => inProcess(new Koa().use(koaRouter(billing)).callback()),
};

const plan: RawRequest = {
  method: 'GET',
  target: '/orgs/acme/billing/plan',
  headers: { 'X-API-Key': 'key-admin', 'X-Correlation-Id': 'failing' },
};

describe.each(['Express', 'Koa'] as const)('when something fails, on %s', (framework) => {
  async function ask(fixture: ServerFixture, request: RawRequest = plan) {
    const billing = createBilling(fixture.options) as Billing;
    const response = await servers[framework](billing)(rawBytes(request));
    checkWire(request, response);
    await billing.close();
    return { response, error: response.body === '' ? null : JSON.parse(response.body) };
  }

  function failingWith(failure: unknown): ServerFixture {
    const repository = memoryBillingRepository();
    return serverFixture({
      repository: {
        ...repository,
        loadOrg: async () => {
          throw failure;
        },
      },
    });
  }

  test('T30: an unforeseen error is a fixed sentence to the client, and logged once with its request id and no secret', async () => {
    const fixture = failingWith(new Error('connect to postgres://u:hunter2@db failed, key sk_live_sentinel'));
    const { response, error } = await ask(fixture);
    expect(response.status).toBe(500);
    expect(error).toEqual({
      message: 'Something went wrong.',
      error_code: 'internal_error',
      correlationId: 'failing',
    });
    expect(fixture.logged).toHaveLength(1);
    const logged = JSON.stringify(fixture.logged);
    expect(logged).toContain('failing');
    expect(fixture.logged).toMatchObject([{ facts: { org: 'acme' } }]);
    expect(logged).not.toMatch(/sentinel|hunter2/);
  });

  test.each([null, undefined, 'text', 7, Object.create(null)])(
    'a thrown %s is an error like any other',
    async (thrown) => {
      const { error } = await ask(failingWith(thrown));
      expect(error).toMatchObject({ error_code: 'internal_error' });
    },
  );

  test('Q13: a store that is away is unavailable, says when to come back, and is no fault of the caller', async () => {
    const fixture = failingWith(new TollgateError('repository_unavailable', { retryAfterSeconds: 7 }));
    const { response, error } = await ask(fixture);
    expect([response.status, response.headers.get('retry-after')]).toEqual([503, '7']);
    expect(fixture.logged).toMatchObject([{ facts: { org: 'acme', code: 'repository_unavailable' } }]);
    expect(error).toMatchObject({ error_code: 'repository_unavailable' });
  });

  test('a store that is away and names no time is asked again after a second', async () => {
    const { response } = await ask(failingWith(new TollgateError('repository_unavailable')));
    expect(response.headers.get('retry-after')).toBe('1');
  });

  test('an access hook that throws lets nobody in', async () => {
    const fixture = serverFixture({
      access() {
        throw new Error('the session store is away');
      },
    });
    const { response, error } = await ask(fixture);
    expect([response.status, error.error_code]).toEqual([500, 'internal_error']);
  });

  test('an access hook that allows a nobody changes nothing: the audit trail needs a name (T22)', async () => {
    for (const nobody of [undefined, '']) {
      const fixture = serverFixture({ access: () => ({ actor: nobody as string, allowed: true }) });
      const { response, error } = await ask(fixture);
      expect([response.status, error.error_code]).toEqual([500, 'invalid_configuration']);
      expect(fixture.logged).toMatchObject([{ facts: { code: 'invalid_configuration' } }]);
    }
  });

  test('a hook may answer in our words', async () => {
    const fixture = serverFixture({
      access() {
        throw new TollgateError('unauthorized', { message: 'Your session has ended.' });
      },
    });
    const { response, error } = await ask(fixture);
    expect([response.status, error.message]).toEqual([401, 'Your session has ended.']);
  });

  test('the access hook may read the body, and the operation reads it after', async () => {
    const { access } = serverFixture().options;
    const fixture = serverFixture({
      async access(asked) {
        expect(await (asked.request as HttpRequest).json()).toEqual({ tier_slug: 'gold' });
        return access(asked);
      },
    });
    const { error } = await ask(fixture, {
      ...plan,
      method: 'POST',
      target: '/orgs/acme/billing/checkout',
      headers: { ...plan.headers, 'Content-Type': 'application/json' },
      body: '{"tier_slug":"gold"}',
    });
    expect(error.error_code).toBe('unknown_tier');
  });
});

describe.each(['Express', 'Koa'] as const)('T21: requests of browsers, on %s', (framework) => {
  async function statusOf(headers: Record<string, string>, more: Partial<RawRequest> = {}): Promise<number> {
    const billing = createBilling(
      serverFixture({ allowedOrigins: ['https://app.example.com'] }).options,
    ) as Billing;
    const request: RawRequest = {
      method: 'PUT',
      target: '/orgs/acme/billing/degradation/policy',
      headers: { 'X-API-Key': 'key-admin', 'Content-Type': 'application/json', ...headers },
      body: '{"policy":"manual"}',
      ...more,
    };
    const response = await servers[framework](billing)(rawBytes(request));
    checkWire(request, response);
    await billing.close();
    return response.status;
  }

  test.each([
    ['from the listed origin', { Origin: 'https://app.example.com' }, 200],
    [
      'from the listed origin, which is another site',
      { Origin: 'https://app.example.com', 'Sec-Fetch-Site': 'cross-site' },
      200,
    ],
    ['from another origin', { Origin: 'https://evil.test' }, 403],
    ['from a look-alike', { Origin: 'https://app.example.com.evil.test' }, 403],
    ['from the same host without TLS', { Origin: 'http://app.example.com' }, 403],
    ['from an opaque origin', { Origin: 'null' }, 403],
    ['of another site, by its own word', { 'Sec-Fetch-Site': 'cross-site' }, 403],
    ['of a sibling site, by its own word', { 'Sec-Fetch-Site': 'same-site' }, 403],
    ['of the same origin, by its own word', { 'Sec-Fetch-Site': 'same-origin' }, 200],
    ['typed in by a person', { 'Sec-Fetch-Site': 'none' }, 200],
    ['from no browser', {}, 200],
  ])('a change %s', async (_from, headers, status) => {
    expect(await statusOf(headers)).toBe(status);
  });

  test('reading is not a change', async () => {
    const read = { method: 'GET', target: '/orgs/acme/billing/plan', body: '' };
    expect(await statusOf({ Origin: 'https://evil.test' }, read)).toBe(200);
  });

  test('a webhook comes from wherever it comes from', async () => {
    const hook = { method: 'POST', target: '/billing/webhooks/sandbox', body: '{}' };
    expect(await statusOf({ Origin: 'https://evil.test' }, hook)).toBe(400);
  });
});

describe.each(['Express', 'Koa'] as const)('the list of overrides, on %s', (framework) => {
  test('has those in force, and those that ended where they are asked for', async () => {
    const { options } = serverFixture();
    const billing = createBilling(options) as Billing;
    const wish = { subjectType: 'org', subjectId: 'acme', limit: 5, actor: 'op' };
    await billing.setOverride({ ...wish, key: 'devices', expiresAt: 1 });
    await billing.setOverride({ ...wish, key: 'door_opens' });
    const keysAt = async (query: string) => {
      const target = `/admin/quota_overrides${query}`;
      const request = { method: 'GET', target, headers: { 'X-API-Key': 'key-operator' } };
      const { body } = await servers[framework](billing)(rawBytes(request));
      return JSON.parse(body)
        .overrides.map((listed: { quota_key: string }) => listed.quota_key)
        .sort();
    };
    for (const query of ['', '?include_expired=false']) expect(await keysAt(query)).toEqual(['door_opens']);
    expect(await keysAt('?include_expired=true')).toEqual(['devices', 'door_opens']);
    await billing.close();
  });
});
