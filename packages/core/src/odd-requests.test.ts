import { expect, it } from 'vitest';
import { capacity, metered } from './catalog/quota.ts';
import { createBilling } from './create-billing.ts';
import { TollgateError } from './errors/tollgate-error.ts';
import { sandboxProvider } from './sandbox/sandbox-provider.ts';

const JUNK = [undefined, null, {}, [], [null], 1, Number.NaN, 10n, 'x', true, () => 1, Object.create(null)];

const billing = createBilling({
  quotas: { devices: capacity(), calls: metered({ periods: ['per_session'] }) },
  tiers: [
    {
      slug: 'free',
      name: 'Free',
      isDefaultForPersonal: true,
      sortOrder: 1,
      limits: { devices: 'unlimited', calls: 'unlimited' },
    },
  ],
  inventory: { count: async () => 0, list: async function* () {}, find: async () => null },
  access: () => ({ actor: 'op', allowed: true }),
  provider: sandboxProvider({ webhookUrl: null }),
  logger: { debug() {}, info() {}, warn() {}, error() {} },
}) as unknown as Readonly<Record<string, (request: unknown) => unknown>> & {
  resume(record: unknown): unknown;
};

const CHARGE = {
  key: 'calls',
  window: 'session:s',
  amount: 1,
  limit: 1,
  onUnknown: 'release',
  forgetAt: null,
};
const REQUESTS: Readonly<Record<string, object>> = {
  reserve: { org: 'acme', charges: [{ key: 'devices' }], idempotencyKey: 'k', onFailure: 'charge' },
  record: { org: 'acme', key: 'calls', amount: 1, session: 's', period: 'per_session', idempotencyKey: 'k' },
  release: { org: 'acme', key: 'calls', amount: 1, session: 's', idempotencyKey: 'k' },
  recount: { org: 'acme', keys: ['devices'] },
  usage: { org: 'acme', session: 's' },
  setOverride: { subjectType: 'org', subjectId: 'acme', key: 'devices', limit: 1, actor: 'op' },
  overrides: { includeExpired: true },
  audit: { org: 'acme', before: 1, limit: 1 },
  checkout: { org: 'acme', tier: 'free', actor: 'op' },
  portal: { org: 'acme', returnUrl: 'https://app.example.com' },
  webhook: { provider: 'sandbox', bytes: new Uint8Array(), header: () => undefined },
  sync: { org: 'acme' },
  linkCustomer: { org: 'acme', customerId: 'cus_1', replaces: 'cus_0' },
  grantPlan: { org: 'acme', tier: null, until: null, actor: 'op' },
  setSelectionPolicy: { org: 'acme', policy: 'manual', actor: 'op' },
  setKeep: { org: 'acme', resource: 'devices', id: 'a', keep: true, actor: 'op' },
  preview: { org: 'acme', tier: 'free', at: 1 },
  sweep: { orgs: ['acme'], signal: undefined },
};

/** What a call fails with; a promise must reject, for nobody expects one of these methods to throw. */
async function failureOf(method: string, request: unknown): Promise<unknown> {
  const answer = billing[method]?.(request);
  expect(answer).toBeInstanceOf(Promise);
  return await (answer as Promise<unknown>).then(
    () => undefined,
    (error: unknown) => error,
  );
}

function expectStable(failure: unknown, said: string) {
  if (failure !== undefined) expect(failure, said).toBeInstanceOf(TollgateError);
  if (failure !== undefined) expect(failure, said).not.toMatchObject({ code: 'internal_error' });
}

it.each(Object.keys(REQUESTS))('%s fails with a stable code, whatever it is asked with', async (method) => {
  for (const junk of JUNK) {
    expectStable(await failureOf(method, junk), `${method}(${typeof junk})`);
    for (const field of Object.keys(REQUESTS[method] ?? {})) {
      const said = `${method}: ${field} = ${typeof junk}`;
      expectStable(await failureOf(method, { ...REQUESTS[method], [field]: junk }), said);
    }
  }
  for (const junk of [null, 1, 'x']) {
    expect(await failureOf(method, junk), String(junk)).toMatchObject({ code: 'invalid_request' });
  }
});

it.each(['plan', 'upgradeOptions', 'degradation', 'standing'])(
  '%s refuses what is no org',
  async (method) => {
    for (const junk of JUNK.filter((one) => one !== 'x' && !Number.isNaN(one)))
      expect(await failureOf(method, junk)).toMatchObject({ code: 'invalid_org_id' });
  },
);

it.each(['org', 'subscription', 'checkoutSession', 'eventsSince'])(
  'sync refuses what is no %s, and asks neither provider nor repository',
  async (field) => {
    const none = [undefined, null, {}, [], Number.NaN, 10n, '', true, '\0', '\ud800', () => 1];
    for (const junk of [...none, field === 'eventsSince' ? 'x' : 1]) {
      const code = field === 'org' ? 'invalid_org_id' : 'invalid_request';
      expect(await failureOf('sync', { [field]: junk }), String(junk)).toMatchObject({ code });
    }
  },
);

it('sweep refuses orgs that are no list', async () => {
  for (const junk of [null, {}, 1, Number.NaN, 10n, true, () => 1])
    expect(await failureOf('sweep', { orgs: junk })).toMatchObject({ code: 'invalid_request' });
  expect(await failureOf('sweep', { orgs: ['acme', null] })).toBeUndefined();
});

it('listens to no name that is none, of whatever type', () => {
  for (const junk of JUNK)
    expect(() => billing.on?.(junk)).toThrow(expect.objectContaining({ code: 'invalid_configuration' }));
});

it.each(['plan', 'upgradeOptions', 'degradation', 'standing'])(
  '%s can be handed to map, which passes a place in the list as well',
  async (method) => {
    const ask = billing[method] ?? (() => undefined);
    expect(await Promise.all(['acme', 'globex'].map(ask as () => unknown))).toHaveLength(2);
  },
);

it.each([
  { charges: undefined },
  { charges: { key: 'devices' } },
  { charges: 'devices' },
  { charges: ['devices'] },
  { charges: [null] },
  { idempotencyKey: '' },
])('reserve refuses a request that is none: %j', async (odd) => {
  const request = { org: 'acme', charges: [{ key: 'devices' }], ...odd };
  expect(await failureOf('reserve', request)).toMatchObject({ code: 'invalid_request', status: 400 });
});

it.each([{ onFailure: 'charged' }, { onStoreError: 'opne' }])(
  'reserve refuses a policy that is none at once, and not in an outage only: %j',
  async (odd) => {
    const request = { org: 'acme', charges: [{ key: 'devices' }], ...odd };
    expect(await failureOf('reserve', request)).toMatchObject({ code: 'invalid_configuration' });
  },
);

it.each(['', null, 7, 'x'.repeat(256)])(
  'release refuses an idempotency key that is none: %j',
  async (key) => {
    const request = { org: 'acme', key: 'devices', idempotencyKey: key };
    expect(await failureOf('release', request)).toMatchObject({ code: 'invalid_request' });
  },
);

it('takes up no record that is none, and an org whose record was broken is not held up by it', async () => {
  for (const junk of [undefined, null, 'x', {}, []])
    expect(() => billing.resume(junk)).toThrow(expect.objectContaining({ code: 'invalid_request' }));
  const record = { org: 'broken', id: 'x', rememberMs: 0, charges: [CHARGE] };
  for (const odd of [
    { org: undefined },
    { org: '' },
    { charges: null },
    { charges: undefined },
    { charges: {} },
    { charges: [null] },
    { charges: [{ ...CHARGE, key: undefined }] },
    { charges: [{ ...CHARGE, window: undefined }] },
    { charges: [{ ...CHARGE, onUnknown: 'lost' }] },
  ]) {
    expect(() => billing.resume({ ...record, ...odd }), JSON.stringify(odd)).toThrow(
      expect.objectContaining({ code: 'invalid_request' }),
    );
  }
  expect(await failureOf('reserve', { org: 'broken', charges: [{ key: 'devices' }] })).toBeUndefined();
});
