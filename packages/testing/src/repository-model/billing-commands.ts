import type { EventKey, InboxEvent, Override, Subscription } from '@tollgate/core';
import fc from 'fast-check';
import {
  at,
  auditOf,
  Command,
  command,
  drift,
  durationMs,
  label,
  offsetMs,
  offsetOrNull,
  org,
  page,
  provider,
  resource,
  type Side,
  tier,
} from './command.ts';

const subscription = fc.record({
  provider,
  id: fc.constantFrom('sub_1', 'sub_2', 'sub_B'),
  org,
  tier,
  status: fc.constantFrom('active', 'past_due', 'canceled', 'made_up'),
  quantity: fc.constantFrom(1, Number.MAX_SAFE_INTEGER),
  interval: fc.constantFrom('month', 'year', null),
  offset: offsetOrNull,
});
type GivenSubscription = typeof subscription extends fc.Arbitrary<infer T> ? T : never;

function toSubscription({ offset, ...given }: GivenSubscription, now: number): Subscription {
  return {
    ...given,
    customerId: `cus_${given.org}`,
    createdAt: now,
    currentPeriodEndsAt: at(now, offset),
    trialEndsAt: null,
    cancelsAt: at(now, offset),
    scheduledTier: given.tier,
    scheduledAt: at(now, offset),
    pastDueAt: null,
    endedAt: at(now, offset),
  };
}

/** The version to expect: usually the stored one, sometimes a wrong one. */
async function versionFor(
  side: Side,
  key: { provider: string; id: string },
  drift: number,
): Promise<number | null> {
  const stored = await side.repository.findSubscription(key);
  if (drift !== 0) return stored === null ? drift : null;
  return stored?.version ?? null;
}

const event = fc.record({
  provider,
  livemode: fc.boolean(),
  id: fc.constantFrom('evt_1', 'evt_2', 'evt_3', 'evt_4'),
  offset: fc.constantFrom(0, -5_000, 5_000),
  org,
});
type GivenEvent = typeof event extends fc.Arbitrary<infer T> ? T : never;

/** No two events share an id, because the order of two events with the same instant and id is not specified. */
const keyOf = ({ provider: name, livemode, id }: EventKey): EventKey => ({
  provider: name,
  livemode,
  id: `${id}_${name}_${livemode}`,
});
const tokenName = (key: EventKey) => label(keyOf(key));
function toEvent(given: GivenEvent, now: number): InboxEvent {
  const rest = {
    type: 'customer.subscription.updated',
    customerId: `cus_${given.org}`,
    subscriptionId: null,
  };
  return { ...keyOf(given), ...rest, createdAt: now + given.offset };
}

const override = fc.record({
  id: fc.uuid(),
  subjectType: fc.constantFrom('org', 'user'),
  subjectId: org,
  key: resource,
  period: fc.constantFrom('day', 'lifetime', null),
  limit: fc.constantFrom(0, 5, Number.MAX_SAFE_INTEGER, null),
  offset: offsetOrNull,
  reason: fc.constantFrom(null, '', `it's "so"`),
});

const saveSubscription = command(
  'saveSubscription',
  fc.record({ given: subscription, drift, audited: fc.boolean() }),
  async (side, { given, drift: wrong, audited }) => {
    const expectedVersion = await versionFor(side, given, wrong);
    const audit = audited ? auditOf(side.now, given.id, given.org) : null;
    const changed = toSubscription(given, side.now);
    return side.repository.saveSubscription({ subscription: changed, expectedVersion, audit });
  },
);

const claimEvent = command(
  'claimEvent',
  fc.record({ given: event, leaseMs: durationMs }),
  async ({ repository, tokens, now }, { given, leaseMs }) => {
    const claim = await repository.claimEvent({ event: toEvent(given, now), leaseMs });
    if (claim.outcome !== 'claimed') return claim;
    tokens.set(tokenName(given), claim.token);
    return claim.outcome;
  },
);

const finishEvent = command(
  'finishEvent',
  fc.record({
    given: event,
    result: fc.constantFrom('applied', 'ignored', 'unmatched', 'unmatched'),
    maxUnmatched: fc.constantFrom(0, 1, 2, 100),
    effect: fc.option(fc.record({ given: subscription, drift })),
  }),
  async (side, { given, result, maxUnmatched, effect }) => {
    const token = side.tokens.get(tokenName(given)) ?? 'none';
    return side.repository.finishEvent({
      event: keyOf(given),
      token,
      result,
      maxUnmatched,
      effect: effect && {
        subscription: toSubscription(effect.given, side.now),
        expectedVersion: await versionFor(side, effect.given, effect.drift),
        audit: auditOf(side.now, effect.given.id, effect.given.org),
      },
    });
  },
);

/** Commands on customers, subscriptions, checkouts, events, overrides and the audit trail. */
export const billingCommands: readonly fc.Arbitrary<Command>[] = [
  fc.constantFrom(1, 999, 1_000, 60_000, 3_600_000).map((ms) => new Command(`advance(${ms})`, ms)),
  command('loadOrg', org, ({ repository }, name) => repository.loadOrg(name)),
  command('linkCustomer', fc.record({ org, provider, nth: fc.constantFrom(1, 2) }), ({ repository }, given) =>
    repository.linkCustomer({
      org: given.org,
      provider: given.provider,
      customerId: `cus_${given.org}_${given.nth}`,
    }),
  ),
  command(
    'replaceCustomer',
    fc.record({ org, provider, nth: fc.constantFrom(1, 2), gone: fc.constantFrom(1, 2) }),
    ({ repository }, given) =>
      repository.replaceCustomer({
        customer: { org: given.org, provider: given.provider, customerId: `cus_${given.org}_${given.nth}` },
        gone: `cus_${given.org}_${given.gone}`,
      }),
  ),
  command('findCustomer', fc.record({ org, provider }), ({ repository }, given) =>
    repository.findCustomer({ provider: given.provider, customerId: `cus_${given.org}_1` }),
  ),
  command('listCustomers', page, ({ repository }, { limit }) =>
    repository.listCustomers({ after: null, limit }),
  ),
  saveSubscription,
  command(
    'listSubscriptions',
    fc.record({ provider, limit: fc.constantFrom(1, 9) }),
    ({ repository }, given) =>
      repository.listSubscriptions({ after: { provider: given.provider, id: 'sub_1' }, limit: given.limit }),
  ),
  command(
    'claimCheckout',
    fc.record({
      org,
      provider,
      tier: fc.constantFrom('pro', 'business'),
      id: fc.constantFrom('c1', 'c2'),
      leaseMs: durationMs,
    }),
    ({ repository }, request) => repository.claimCheckout(request),
  ),
  command(
    'saveCheckout',
    fc.record({
      org,
      provider,
      id: fc.constantFrom('c1', 'c2'),
      state: fc.constantFrom('open', 'closed'),
      offset: offsetOrNull,
    }),
    ({ repository, now }, { offset, ...given }) => {
      const open = {
        tier: 'pro',
        sessionId: 'cs_1',
        url: 'https://pay.example/1',
        expiresAt: at(now, offset),
      };
      return repository.saveCheckout({
        attempt: { ...given, ...open },
        audit: auditOf(now, given.id, given.org),
      });
    },
  ),
  command('closeCheckout', fc.record({ org, provider }), ({ repository }, given) =>
    repository.closeCheckout({ ...given, sessionId: 'cs_1' }),
  ),
  claimEvent,
  claimEvent,
  finishEvent,
  finishEvent,
  command('releaseEvent', event, ({ repository, tokens }, given) =>
    repository.releaseEvent({ event: keyOf(given), token: tokens.get(tokenName(given)) ?? 'none' }),
  ),
  command('purgeEvents', offsetMs, ({ repository, now }, offset) =>
    repository.purgeEvents({ before: now + offset }),
  ),
  command('upsertOverride', override, ({ repository, now }, { offset, ...given }) => {
    const rest = { createdBy: 'op', createdAt: now, updatedAt: now, expiresAt: at(now, offset) };
    return repository.upsertOverride({ override: { ...given, ...rest } satisfies Override, actor: 'op' });
  }),
  command('listOverrides', offsetOrNull, ({ repository, now }, offset) =>
    repository.listOverrides({ liveAt: at(now, offset) }),
  ),
  command(
    'listAudit',
    fc.record({ org: fc.option(org), before: fc.constantFrom(null, 1, 3), limit: fc.constantFrom(1, 50) }),
    ({ repository }, request) => repository.listAudit(request),
  ),
];
