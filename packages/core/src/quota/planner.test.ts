import { describe, expect, it } from 'vitest';
import { defineCatalog } from '../catalog/define-catalog.ts';
import { capacity, metered } from '../catalog/quota.ts';
import type { OrgView } from '../org/org-views.ts';
import { createPlanner } from './planner.ts';
import type { EffectiveLimit, KeyCharge } from './types.ts';

const NOON = Date.UTC(2026, 3, 9, 12);
const MIDNIGHT = Date.UTC(2026, 3, 10);
const DAY_MS = 86_400_000;

const catalog = defineCatalog(
  {
    devices: capacity(),
    door_opens: metered({ periods: ['day'] }),
    calls: metered({ periods: ['per_session'], unit: 'seconds' }),
  },
  [{ slug: 'free', name: 'Free', isDefaultForPersonal: true, sortOrder: 1, limits: { devices: 3 } }],
  [],
);

/** A view whose limit is 3 until an instant, and 1 from then on. */
function viewUntil(end = Number.POSITIVE_INFINITY): OrgView {
  const limit = (_key: string, _period: string, now: number): EffectiveLimit => ({
    value: now < end ? 3 : 1,
    source: { kind: 'default' },
  });
  const steadyUntil = (now: number) => (now < end ? end : Number.POSITIVE_INFINITY);
  return { limit, steadyUntil, plans: new Map() } as never;
}

const frozen = (...charges: KeyCharge[]) => Object.freeze(charges.map((charge) => Object.freeze(charge)));
const DEVICES = frozen({ key: 'devices' });

describe('a planner', () => {
  it('plans a frozen list once for a view, and shares equal plans between orgs', () => {
    const planner = createPlanner(catalog);
    const view = viewUntil();
    const plan = planner.plan({ charges: DEVICES }, view, NOON);
    expect(plan).toMatchObject([{ key: 'devices', window: 'lifetime', amount: 1, limit: 3 }]);
    expect(planner.plan({ charges: DEVICES }, view, NOON + 1)).toBe(plan);
    expect(planner.plan({ charges: DEVICES }, viewUntil(), NOON)).toBe(plan);
  });

  it('looks again once an override or a grace has ended, to the millisecond (Q12)', () => {
    const planner = createPlanner(catalog);
    const view = viewUntil(NOON + 100);
    const limitAt = (now: number) => planner.plan({ charges: DEVICES }, view, now)[0]?.limit;
    expect([NOON, NOON + 99, NOON + 100, NOON + 101].map(limitAt)).toEqual([3, 3, 1, 1]);
    // A clock that was set back must not be served from after the end.
    expect(limitAt(NOON + 50)).toBe(3);
  });

  it('charges the next window from the first millisecond of it', () => {
    const planner = createPlanner(catalog);
    const view = viewUntil();
    const charges = frozen({ key: 'door_opens' });
    const windowAt = (now: number) => planner.plan({ charges }, view, now)[0]?.window;
    expect([NOON, MIDNIGHT - 1, MIDNIGHT, NOON].map(windowAt)).toEqual([
      'day:2026-04-09',
      'day:2026-04-09',
      'day:2026-04-10',
      'day:2026-04-09',
    ]);
  });

  it('keeps a session for another while with every charge', () => {
    const planner = createPlanner(catalog);
    const view = viewUntil();
    const charges = frozen({ key: 'calls', session: 's1' });
    const forgetAt = (now: number) => planner.plan({ charges }, view, now)[0]?.forgetAt;
    expect(forgetAt(NOON)).toBe(NOON + 7 * DAY_MS);
    expect(forgetAt(NOON + 1_000)).toBe(NOON + 7 * DAY_MS + 1_000);
  });

  it('keeps the counter of a window for two days after it', () => {
    const plan = createPlanner(catalog).plan({ charges: frozen({ key: 'door_opens' }) }, viewUntil(), NOON);
    expect(plan[0]?.forgetAt).toBe(MIDNIGHT + 2 * DAY_MS);
  });

  it('charges the periods alone in which a key is limited', () => {
    const both = defineCatalog({ door_opens: metered({ periods: ['day', 'month'] }) }, [], []);
    const limit = (_key: string, period: string) =>
      period === 'day' ? null : viewUntil().limit('', 'month', 0);
    const view = { ...viewUntil(), limit } as OrgView;
    const plan = createPlanner(both).plan({ charges: [{ key: 'door_opens' }] }, view, NOON);
    expect(plan).toMatchObject([{ window: 'month:2026-04' }]);
  });

  it('keeps few plans of a host that freezes a list for each request', () => {
    const planner = createPlanner(catalog);
    const view = viewUntil();
    for (let n = 0; n < 1_000; n++) planner.plan({ charges: frozen({ key: 'devices' }) }, view, NOON);
    expect(view.plans.size).toBeLessThanOrEqual(64);
  });

  it('tells apart what becomes of units after a failure', () => {
    const planner = createPlanner(catalog);
    const view = viewUntil();
    const charges = frozen({ key: 'door_opens' });
    const onUnknown = (onFailure?: 'release' | 'charge') =>
      planner.plan({ charges, ...(onFailure ? { onFailure } : {}) }, view, NOON)[0]?.onUnknown;
    expect([onUnknown('charge'), onUnknown(), onUnknown('release')]).toEqual([
      'commit',
      'release',
      'release',
    ]);
  });

  it.each([
    ['a list', (charge: KeyCharge) => [Object.freeze(charge)]],
    ['a charge', (charge: KeyCharge) => Object.freeze([charge])],
  ])('reads %s that may change each time', (_what, listOf) => {
    const planner = createPlanner(catalog);
    const view = viewUntil();
    const charges = listOf({ key: 'devices', amount: 1 });
    planner.plan({ charges }, view, NOON);
    if (!Object.isFrozen(charges)) (charges as KeyCharge[])[0] = { key: 'devices', amount: 2 };
    else Object.assign(charges[0] ?? {}, { amount: 2 });
    expect(planner.plan({ charges }, view, NOON)[0]?.amount).toBe(2);
  });
});
