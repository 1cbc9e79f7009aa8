import { expect, test } from 'vitest';
import type { StoredSubscription } from '../../ports/billing-repository.ts';
import { toDegradationStatus } from './degradation.ts';
import { toQuotaOverride } from './overrides.ts';
import { toPlansResponse } from './plans.ts';
import { toBillingPlanResponse } from './subscriptions.ts';
import { toQuotaReport } from './usage.ts';
import { toBillingWebhookResponse } from './webhooks.ts';

const day = (date: number) => Date.UTC(2026, 3, date);
const written = (date: number) => `2026-04-0${date}T00:00:00.000Z`;

test('a plan says what its tier says, and whether it is bought or given', () => {
  const tier = {
    slug: 'pro',
    name: { en: 'Pro' },
    description: 'For teams.',
    isPublished: false,
    isDefaultForPersonal: true,
    sortOrder: 7,
    quotas: [{ key: 'calls', period: 'per_session', limit: null } as const],
  };
  const catalog = { quota: () => ({ unit: 'seconds' }) } as unknown as Parameters<typeof toPlansResponse>[1];
  const { plans } = toPlansResponse([tier, { ...tier, description: null, isPublished: true }], catalog);
  const plan = {
    slug: 'pro',
    name: { en: 'Pro' },
    is_published: false,
    is_default_for_personal: true,
    sort_order: 7,
    quotas: [{ quota_key: 'calls', period: 'per_session', unit: 'seconds', limit_value: null }],
    description: 'For teams.',
  };
  expect(plans).toEqual([plan, { ...plan, is_published: true, description: null }]);
});

test('the plan of an org names the tier it has, and its subscription the one that is paid for', () => {
  const subscription = { provider: 'p', id: 'sub_1', tier: null, status: 'active' } as StoredSubscription;
  const plan = { org: 'acme', tier: 'free', isDefault: true, subscription };
  const reference = { provider: 'p', external_id: 'sub_1', tier_slug: '', status: 'active' };
  expect(toBillingPlanResponse(plan)).toEqual({
    org_id: 'acme',
    tier_id: 'free',
    subscription: reference,
  });
  expect(
    toBillingPlanResponse({ ...plan, subscription: { ...subscription, tier: 'pro' } }).subscription,
  ).toEqual({ ...reference, tier_slug: 'pro' });
});

test('usage names each window with its ends, and where its limit comes from', () => {
  const use = {
    key: 'calls',
    period: 'day',
    unit: 'count',
    window: { label: 'day:2026-04-01', startsAt: day(1), endsAt: day(2) },
    current: 3,
  } as const;
  const sources = [
    { kind: 'override', id: 'o1' },
    { kind: 'tier', slug: 'pro' },
    { kind: 'default' },
  ] as const;
  const items = sources.map((source) => ({ ...use, limit: { value: 5, source } }));
  const report = toQuotaReport({ org: 'acme', tier: 'pro', items, degradation: null });
  expect(report).toEqual({
    org_id: 'acme',
    tier_slug: 'pro',
    degradation: null,
    items: sources.map((source) => ({
      key: 'calls',
      period: 'day',
      unit: 'count',
      period_label: 'day:2026-04-01',
      current: 3,
      limit: { value: 5, source },
      period_start: written(1),
      period_end: written(2),
    })),
  });
});

test('the over-capacity status tells since when, and of each row when it was flagged and when marked', () => {
  const overage = { key: 'devices', unit: 'count', current: 5, limit: 3, excess: 2 } as const;
  expect(
    toDegradationStatus({
      org: 'acme',
      stage: 'marked_for_delete',
      level: 1,
      overCapacity: true,
      overCapacityAt: day(1),
      policy: 'manual',
      overages: [overage],
      flagged: [
        { resource: 'devices', id: 'a', state: 'marked_for_delete', flaggedAt: day(2), markedAt: day(3) },
        { resource: 'devices', id: 'b', state: 'flagged', flaggedAt: day(4), markedAt: null },
      ],
    }),
  ).toEqual({
    org_id: 'acme',
    stage: 'marked_for_delete',
    degradation_level: 1,
    over_capacity: true,
    over_capacity_since: written(1),
    selection_policy: 'manual',
    overages: [overage],
    flagged: [
      {
        resource: 'devices',
        id: 'a',
        state: 'marked_for_delete',
        flagged_at: written(2),
        marked_at: written(3),
      },
      { resource: 'devices', id: 'b', state: 'flagged', flagged_at: written(4), marked_at: null },
    ],
  });
});

test('an override tells who set it, when first and when last', () => {
  const override = {
    id: 'o1',
    subjectType: 'org',
    subjectId: 'acme',
    key: 'devices',
    period: null,
    limit: null,
    expiresAt: day(3),
    reason: 'a pilot',
    createdBy: 'op',
    createdAt: day(1),
    updatedAt: day(2),
  };
  expect(toQuotaOverride(override)).toEqual({
    id: 'o1',
    subject_type: 'org',
    subject_id: 'acme',
    quota_key: 'devices',
    period: null,
    limit_value: -1,
    expires_at: written(3),
    reason: 'a pilot',
    created_by: 'op',
    created_at: written(1),
    updated_at: written(2),
  });
  expect(toQuotaOverride({ ...override, limit: 0 }).limit_value).toBe(0);
});

test('a webhook’s answer names what its event is about', () => {
  const event = {
    id: 'evt_1',
    type: 'a.type',
    kind: 'invoice_paid',
    livemode: false,
    createdAt: day(1),
    customerId: 'cus_1',
    subscriptionId: 'sub_1',
    status: 'past_due',
    tier: 'pro',
    checkoutSessionId: null,
  } as const;
  expect(toBillingWebhookResponse({ provider: 'p', events: [event], outcome: 'applied' })).toEqual({
    provider: 'p',
    events: [
      {
        kind: 'invoice_paid',
        provider: 'p',
        raw: { id: 'evt_1', type: 'a.type' },
        external_customer_id: 'cus_1',
        external_subscription_id: 'sub_1',
        status: 'past_due',
        tier_slug: 'pro',
      },
    ],
  });
});
