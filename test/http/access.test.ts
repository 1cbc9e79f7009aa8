import {
  type Billing,
  billingRoutes,
  createBilling,
  type HttpRequest,
  memoryBillingRepository,
  memoryCounterStore,
  type Route,
} from '@tollgate/core';
import { billingRouter as expressRouter } from '@tollgate/express';
import { billingRouter as koaRouter } from '@tollgate/koa';
import { PRINCIPALS, type PrincipalKey, rawBytes, serverFixture } from '@tollgate/testing';
import express from 'express';
import Koa from 'koa';
import mount from 'koa-mount';
import { afterAll, describe, expect, test } from 'vitest';
import { inProcess } from './in-process.ts';
import { spied } from './spied.ts';
import { checkWire } from './wire-schemas.ts';

const BODIES: Readonly<Record<string, unknown>> = {
  put_org_billing_degradation_policy: { policy: 'manual' },
  post_org_billing_degradation_resource: { resource: 'devices', resource_id: 'd1', keep: true },
  post_org_billing_checkout: { tier_slug: 'pro' },
  post_org_billing_portal: { return_url: 'https://app.example.com/' },
  post_admin_quota_override: {
    subject_type: 'org',
    subject_id: 'globex',
    quota_key: 'devices',
    limit_value: 1,
  },
  post_billing_webhook: { id: 'evt_1' },
};

const CALLERS = [undefined, 'key-nobody', ...Object.keys(PRINCIPALS)] as const;
const ORGS = ['acme', 'globex', 'nowhere'];

const calls: string[] = [];
const { options, provider, clock } = serverFixture();
const billing = createBilling({
  ...options,
  repository: spied(memoryBillingRepository({ clock }), 'repository', calls),
  counters: spied(memoryCounterStore({ clock }), 'counters', calls),
  inventory: spied(options.inventory, 'inventory', calls),
  provider: spied(provider, 'provider', calls),
}) as Billing;

const servers = {
  Express: inProcess(express().use(expressRouter(billing))),
  Koa: inProcess(new Koa().use(koaRouter(billing)).callback()),
};

afterAll(() => billing.close());

describe.each(['Express', 'Koa'] as const)('who may do what, on %s', (framework) => {
  for (const route of billingRoutes) {
    const orgs = route.path.includes('{id}') ? ORGS : [null];
    for (const org of orgs) {
      for (const key of CALLERS) {
        const expected = expectedStatus(route, key, org);
        const title = `${route.operationId} ${org ?? ''} as ${key ?? 'nobody'} answers ${expected}`;
        const isRefused = expected === 401 || expected === 403;
        test(isRefused ? `A2: ${title} and asks no store` : `A1: ${title}`, async () => {
          const target = route.path.replace('{id}', org ?? '').replace('{provider}', 'sandbox');
          const body = BODIES[route.operationId];
          const request = {
            method: route.method,
            target,
            headers: {
              'Content-Type': 'application/json',
              'X-Correlation-Id': 'access',
              ...(key === undefined ? {} : { 'X-API-Key': key }),
            },
            ...(body === undefined ? {} : { body: JSON.stringify(body) }),
          };
          calls.length = 0;
          const response = await servers[framework](rawBytes(request));
          expect({
            status: response.status,
            body: response.status === expected ? '' : response.body,
          }).toEqual({
            status: expected,
            body: '',
          });
          checkWire(request, response);
          if (isRefused) {
            expect(calls).toEqual([]);
            expect(response.body).toBe(expected === 401 ? UNAUTHORIZED : FORBIDDEN);
          }
        });
      }
    }
  }
});

// T14: the same bytes whether the org exists or not.
const FORBIDDEN =
  '{"message":"You may not use this operation.","error_code":"forbidden","correlationId":"access"}';
const UNAUTHORIZED =
  '{"message":"Sign in to use this operation.","error_code":"unauthorized","correlationId":"access"}';

/** What the host's own rules allow, spelled out once more: an org's key for its own org, the operator's for the admin routes. */
function expectedStatus({ access, operationId }: Route, key: string | undefined, org: string | null): number {
  if (access === 'public') return 200;
  if (access === 'signature') return 400;
  if (key === undefined || key === 'key-nobody') return 401;
  const mine: Readonly<Record<PrincipalKey, boolean>> = {
    'key-admin': org === 'acme',
    'key-member': org === 'acme' && access === 'billing:read',
    'key-other': org === 'globex',
    'key-operator': access === 'operator',
  };
  if (!mine[key as PrincipalKey]) return 403;
  // A1: the row named in the body is the other org's.
  return operationId === 'post_org_billing_degradation_resource' && org === 'globex' ? 404 : 200;
}

test.each(['Express', 'Koa'] as const)(
  'A2: the body of who may not call is not waited for, on %s',
  async (name) => {
    const patient = createBilling({ ...serverFixture().options, bodyTimeoutMs: 60_000 }) as Billing;
    const server = inProcess(
      name === 'Express'
        ? express().use(expressRouter(patient))
        : new Koa().use(koaRouter(patient)).callback(),
    );
    for (const route of billingRoutes.filter(({ body, access }) => body !== null && access !== 'signature')) {
      const target = route.path.replace('{id}', 'acme');
      const headers = { 'Content-Type': 'application/json', 'X-API-Key': 'key-member' };
      const { status } = await server(
        rawBytes({ method: route.method, target, headers, body: '{', contentLength: 20 }),
      );
      expect([route.operationId, status]).toEqual([route.operationId, 403]);
    }
    await patient.close();
  },
);

test('T22: who changed something is the caller, for every operation that changes something', async () => {
  const audited = createBilling(serverFixture().options) as Billing;
  const server = inProcess(new Koa().use(koaRouter(audited)).callback());
  for (const { method, path, operationId, access } of billingRoutes) {
    if (BODIES[operationId] === undefined || access === 'signature') continue;
    const key = access === 'operator' ? 'key-operator' : 'key-admin';
    const headers = { 'Content-Type': 'application/json', 'X-API-Key': key };
    const body = JSON.stringify(BODIES[operationId]);
    await server(rawBytes({ method, target: path.replace('{id}', 'acme'), headers, body }));
  }
  const trail = await audited.audit({ limit: 100 });
  await audited.close();
  expect(trail.map(({ actor, action }) => [action, actor]).sort()).toEqual([
    ['checkout.started', 'admin'],
    ['override.set', 'operator'],
    ['pin.set', 'admin'],
    ['policy.set', 'admin'],
  ]);
});

test('A1: the host is asked for the permission of the operation, with the org of the path', async () => {
  const asked: { permission: string; org: string | null; operationId: string }[] = [];
  const watching = createBilling({
    ...serverFixture().options,
    access({
      permission,
      org,
      operationId,
    }: {
      request: HttpRequest;
      permission: string;
      org: string | null;
      operationId: string;
    }) {
      asked.push({ permission, org, operationId });
      return null;
    },
  }) as Billing;
  const server = inProcess(express().use(expressRouter(watching)));
  for (const { method, path } of billingRoutes) {
    await server(rawBytes({ method, target: path.replace('{id}', 'acme').replace('{provider}', 'sandbox') }));
  }
  await watching.close();
  expect(asked).toEqual(
    billingRoutes
      .filter(({ access }) => access !== 'public' && access !== 'signature')
      .map(({ access, operationId, path }) => ({
        permission: access,
        org: path.includes('{id}') ? 'acme' : null,
        operationId,
      })),
  );
});

test('A3: the host is asked about the path that the client sent, whatever a mount cut off', async () => {
  const asked: string[] = [];
  const watching = createBilling({
    ...serverFixture().options,
    access({ request }: { request: HttpRequest }) {
      asked.push(request.path);
      return null;
    },
  }) as Billing;
  const target = '/api/v1/orgs/acme/billing/plan';
  const onExpress = express().use('/api/v1', expressRouter(watching));
  const onKoa = new Koa().use(mount('/api/v1', koaRouter(watching)));
  for (const server of [onExpress, onKoa.callback()])
    await inProcess(server)(rawBytes({ method: 'GET', target }));
  await watching.close();
  expect(asked).toEqual([target, target]);
});

test('an access hook that answers true, as many do, is told of once in the log, with what it should answer', async () => {
  const fixture = serverFixture({ access: () => true as never });
  const careless = createBilling(fixture.options) as Billing;
  const server = inProcess(express().use(expressRouter(careless)));
  for (let asked = 0; asked < 3; asked++) {
    const { status } = await server(rawBytes({ method: 'GET', target: '/orgs/acme/billing/plan' }));
    expect(status).toBe(403);
  }
  await careless.close();
  expect(fixture.logged.map(({ message }) => message)).toEqual([
    expect.stringContaining('{ actor, allowed }'),
  ]);
});

test.each([true, 'yes', 1, {}, [], { allowed: 'true' }, { allowed: 1 }, undefined, null])(
  'an access hook that answers %j lets nobody in',
  async (answer) => {
    const careless = createBilling({ ...serverFixture().options, access: () => answer as never }) as Billing;
    const server = inProcess(express().use(expressRouter(careless)));
    const { status } = await server(rawBytes({ method: 'GET', target: '/orgs/acme/billing/plan' }));
    await careless.close();
    expect([401, 403]).toContain(status);
  },
);
