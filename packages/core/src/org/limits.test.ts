import { describe, expect, it } from 'vitest';
import { defineCatalog } from '../catalog/define-catalog.ts';
import { openAppQuotas } from '../catalog/openapp.ts';
import type { Override, Subscription } from '../ports/billing-repository.ts';
import { entitlementOf } from './entitlement.ts';
import { resolveLimit } from './limits.ts';

const catalog = defineCatalog(
  openAppQuotas,
  [
    {
      slug: 'free',
      name: 'Free',
      isDefaultForPersonal: true,
      sortOrder: 1,
      limits: { devices: 3, door_opens: 20 },
    },
    { slug: 'pro', name: 'Pro', sortOrder: 2, limits: { devices: 50, door_opens: { day: 500 } } },
    { slug: 'business', name: 'Business', sortOrder: 3, limits: { devices: 'unlimited' } },
  ],
  [],
);
const rules = { grantingStatuses: new Set(['active', 'trialing']), pastDueGraceMs: 1_000 };

const override = (changes: Partial<Override>): Override => ({
  id: 'o1',
  subjectType: 'org',
  subjectId: 'acme',
  key: 'devices',
  period: null,
  limit: 10,
  expiresAt: null,
  reason: null,
  createdBy: 'op',
  createdAt: 0,
  updatedAt: 0,
  ...changes,
});
const subscription = (changes: Partial<Subscription>): Subscription => ({
  provider: 'sandbox',
  id: 's1',
  org: 'acme',
  customerId: 'c1',
  tier: 'pro',
  status: 'active',
  quantity: 1,
  interval: 'month',
  createdAt: 0,
  currentPeriodEndsAt: null,
  trialEndsAt: null,
  cancelsAt: null,
  scheduledTier: null,
  scheduledAt: null,
  pastDueAt: null,
  endedAt: null,
  ...changes,
});
const onDefault = { tier: catalog.defaultTier, isDefault: true };

describe('resolveLimit', () => {
  it('says where the limit comes from: override, then own tier, then the default tier', () => {
    const pro = { tier: catalog.tier('pro') ?? catalog.defaultTier, isDefault: false };
    expect(resolveLimit('devices', 'lifetime', [override({})], pro, catalog, 0)).toEqual({
      value: 10,
      source: { kind: 'override', id: 'o1' },
    });
    expect(resolveLimit('devices', 'lifetime', [], pro, catalog, 0)).toEqual({
      value: 50,
      source: { kind: 'tier', slug: 'pro' },
    });
    expect(resolveLimit('devices', 'lifetime', [], onDefault, catalog, 0)).toEqual({
      value: 3,
      source: { kind: 'default' },
    });
  });

  it('Q12: ends an override at expiresAt itself, without any job', () => {
    const ending = [override({ expiresAt: 100 })];
    expect(resolveLimit('devices', 'lifetime', ending, onDefault, catalog, 99)?.value).toBe(10);
    expect(resolveLimit('devices', 'lifetime', ending, onDefault, catalog, 100)?.value).toBe(3);
  });

  it('prefers the override of the very period, in whatever order they are stored', () => {
    const all = override({ key: 'door_opens', id: 'all', limit: 1 });
    const day = override({ key: 'door_opens', id: 'day', period: 'day', limit: 2 });
    for (const stored of [
      [all, day],
      [day, all],
    ]) {
      expect(resolveLimit('door_opens', 'day', stored, onDefault, catalog, 0)?.value).toBe(2);
      expect(resolveLimit('door_opens', 'month', stored, onDefault, catalog, 0)?.value).toBe(1);
    }
  });

  it('takes an override of 0 as 0 and of null as unlimited', () => {
    expect(resolveLimit('devices', 'lifetime', [override({ limit: 0 })], onDefault, catalog, 0)?.value).toBe(
      0,
    );
    expect(
      resolveLimit('devices', 'lifetime', [override({ limit: null })], onDefault, catalog, 0)?.value,
    ).toBeNull();
  });
});

describe('entitlementOf', () => {
  const slugAt = (subscriptions: readonly Subscription[], now = 0) =>
    entitlementOf(subscriptions, catalog, rules, now).tier.slug;

  it('W9: grants for the configured statuses only; an unknown status or price grants nothing', () => {
    expect(slugAt([subscription({})])).toBe('pro');
    expect(slugAt([subscription({ status: 'trialing' })])).toBe('pro');
    for (const status of [
      'unpaid',
      'canceled',
      'incomplete',
      'incomplete_expired',
      'paused',
      'brand_new_word',
    ]) {
      expect(slugAt([subscription({ status })]), status).toBe('free');
    }
    expect(slugAt([subscription({ tier: null })])).toBe('free');
    expect(entitlementOf([subscription({ tier: 'gone' })], catalog, rules, 0)).toMatchObject(onDefault);
  });

  it('lets a past-due subscription grant until its grace is over, counted from the first failure', () => {
    const late = [subscription({ status: 'past_due', pastDueAt: 500 })];
    expect(slugAt(late, 1_499)).toBe('pro');
    expect(slugAt(late, 1_500)).toBe('free');
  });

  it("W5: takes the highest tier granted, so another subscription's end takes nothing away", () => {
    const ended = subscription({ id: 's2', tier: 'business', status: 'canceled', endedAt: 5 });
    expect(slugAt([subscription({}), ended])).toBe('pro');
    expect(slugAt([subscription({}), subscription({ id: 's3', tier: 'business' })])).toBe('business');
  });

  it('takes the newest of those that grant tiers of one rank, in whatever order they are stored', () => {
    const older = subscription({ id: 's1', createdAt: 1 });
    const newer = subscription({ id: 's2', createdAt: 2 });
    for (const stored of [
      [older, newer],
      [newer, older],
    ])
      expect(entitlementOf(stored, catalog, rules, 0).subscription?.id).toBe('s2');
  });

  it('grants nothing by one that has ended, whatever its status says', () => {
    const ended = subscription({ endedAt: 5 });
    expect(entitlementOf([ended], catalog, rules, 0)).toMatchObject({ isDefault: true, subscription: null });
  });

  it('does not take away what a past-due one grants where nobody knows since when it is', () => {
    expect(slugAt([subscription({ status: 'past_due' })], 1_000_000)).toBe('pro');
  });

  it('ends a plan granted by hand at cancelsAt itself; for one of a provider, that is only what it plans', () => {
    const ending = { tier: 'business', cancelsAt: 100 };
    const byHand = subscription({ ...ending, provider: 'manual' });
    expect([99, 100].map((now) => slugAt([byHand], now))).toEqual(['business', 'free']);
    expect(slugAt([subscription({}), byHand], 100)).toBe('pro');
    expect(slugAt([subscription(ending)], 100)).toBe('business');
    expect(entitlementOf([byHand], catalog, rules, 100).subscription).toBeNull();
  });

  it('names the newest of the live subscriptions that grant nothing just now', () => {
    const older = subscription({ id: 's1', status: 'unpaid', createdAt: 1 });
    const newer = subscription({ id: 's2', status: 'paused', createdAt: 2 });
    const named = (...stored: Subscription[]) => entitlementOf(stored, catalog, rules, 0).subscription?.id;
    expect([named(older), named(older, newer), named(newer, older)]).toEqual(['s1', 's2', 's2']);
  });

  it('names the live subscription that grants nothing just now', () => {
    const paused = subscription({ status: 'paused' });
    expect(entitlementOf([paused], catalog, rules, 0)).toMatchObject({
      isDefault: true,
      subscription: { id: 's1' },
    });
    expect(
      entitlementOf([subscription({ status: 'canceled', endedAt: 1 })], catalog, rules, 0).subscription,
    ).toBeNull();
  });
});
