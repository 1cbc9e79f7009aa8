import { type Billing, createBilling } from '@tollgate/core';
import { billingRouter as expressRouter } from '@tollgate/express';
import { billingRouter as koaRouter } from '@tollgate/koa';
import { type RawRequest, rawBytes, serverFixture } from '@tollgate/testing';
import express from 'express';
import Koa from 'koa';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { inProcess } from './in-process.ts';
import { checkWire } from './wire-schemas.ts';

const servers = {
  Express: (billing: Billing) => inProcess(express().use(expressRouter(billing))),
  Koa: (billing: Billing) => inProcess(new Koa().use(koaRouter(billing)).callback()),
};

describe.each(['Express', 'Koa'] as const)('an org whose plan was granted by hand, on %s', (framework) => {
  let fixture: ReturnType<typeof serverFixture>;
  let billing: Billing;
  let ask: (method: string, path: string, body?: object) => Promise<Record<string, unknown>>;
  beforeEach(() => {
    fixture = serverFixture();
    billing = createBilling(fixture.options) as Billing;
    const send = servers[framework](billing);
    ask = async (method, path, body) => {
      const request: RawRequest = {
        method,
        target: `/orgs/acme/billing/${path}`,
        headers: { 'X-API-Key': 'key-admin', 'Content-Type': 'application/json' },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
      };
      const response = await send(rawBytes(request));
      checkWire(request, response);
      expect(response.status).toBe(200);
      return JSON.parse(response.body);
    };
  });
  afterEach(() => billing.close());

  const reference = {
    provider: 'manual',
    external_id: 'grant_acme_1',
    tier_slug: 'enterprise',
    status: 'active',
  };
  const grant = (tier: string | null, until: number | null = null) =>
    billing.grantPlan({ org: 'acme', tier, until, actor: 'operator' });

  test('A4: reads it in the published shape, until it ends or is taken back', async () => {
    const none = { org_id: 'acme', tier_id: 'free', subscription: null };
    const { clock } = fixture;
    await grant('enterprise', clock.now() + 1_000);
    const granted = { org_id: 'acme', tier_id: 'enterprise', subscription: reference };
    expect(await ask('GET', 'plan')).toEqual(granted);
    expect(await ask('GET', 'usage')).toMatchObject({
      tier_slug: 'enterprise',
      items: expect.arrayContaining([
        expect.objectContaining({
          key: 'devices',
          limit: { value: 0, source: { kind: 'tier', slug: 'enterprise' } },
        }),
      ]),
    });
    expect(await ask('GET', 'upgrade-options')).toEqual({ plans: [] });
    clock.advance(1_000);
    expect(await ask('GET', 'plan')).toEqual(none);
    await grant('enterprise');
    expect(await ask('GET', 'plan')).toEqual(granted);
    await grant(null);
    expect(await ask('GET', 'plan')).toEqual(none);
  });

  test('A4: is answered the grant where it chooses the default tier, and a page where it chooses another', async () => {
    await grant('enterprise');
    expect(await ask('POST', 'checkout', { tier_slug: 'free' })).toEqual(reference);
    expect(await ask('POST', 'checkout', { tier_slug: 'pro' })).toMatchObject({
      provider: 'sandbox',
      status: 'pending',
    });
  });
});
