import { expect, it } from 'vitest';
import { DAY, lifecycleOnMemory, START } from '../degradation/lifecycle.test-support.ts';
import type { Subscription } from '../ports/billing-repository.ts';

/** Views on a repository whose answers can be held back, and how often it was asked. */
function counted(limitsTtlMs: number) {
  const one = lifecycleOnMemory({ limitsTtlMs });
  const { loadOrg } = one.repository;
  const state = { loads: 0, held: Promise.resolve() };
  one.repository.loadOrg = async (org) => {
    state.loads += 1;
    const billing = await loadOrg(org);
    await state.held;
    return billing;
  };
  return { ...one, state };
}

const PAST_DUE: Subscription = {
  provider: 'sandbox',
  id: 's1',
  org: 'acme',
  customerId: 'c1',
  tier: 'free',
  status: 'past_due',
  quantity: 1,
  interval: 'month',
  createdAt: START,
  currentPeriodEndsAt: null,
  trialEndsAt: null,
  cancelsAt: null,
  scheduledTier: null,
  scheduledAt: null,
  pastDueAt: START,
  endedAt: null,
};

it('a view is kept for less than limitsTtlMs, and no longer because a clock was set back', async () => {
  const { orgViews, clock, state } = counted(1_000);
  const loadsAt = async (at: number) => {
    clock.at = at;
    await orgViews.of('acme');
    return state.loads;
  };
  expect(await loadsAt(START)).toBe(1);
  expect(await loadsAt(START + 999)).toBe(1);
  expect(await loadsAt(START + 1_000)).toBe(2);
  expect(await loadsAt(START + 999)).toBe(3);
});

it.each([true, false])(
  'nobody is served from before limits were changed here, though they were just being read (asked meanwhile: %s)',
  async (isAskedMeanwhile) => {
    const { orgViews, setLimit, state } = counted(1_000);
    let letGo = () => {};
    state.held = new Promise((resolve) => {
      letGo = resolve;
    });
    const early = [orgViews.of('acme'), orgViews.of('acme')];
    expect(state.loads).toBe(1);
    await setLimit('acme', 'devices', 9);
    const limitNow = async () => (await orgViews.of('acme')).limit('devices', 'lifetime', START)?.value;
    const late = isAskedMeanwhile ? limitNow() : 9;
    letGo();
    await Promise.all(early);
    expect([await late, await limitNow()]).toEqual([9, 9]);
  },
);

it('an org whose view could not be loaded is asked for again by the next who needs it', async () => {
  const { orgViews, repository, state } = counted(1_000);
  const { loadOrg } = repository;
  repository.loadOrg = () => Promise.reject(new Error('The database is down.'));
  await expect(orgViews.of('acme')).rejects.toThrow('down');
  repository.loadOrg = loadOrg;
  expect(await orgViews.of('acme')).toMatchObject({ org: 'acme' });
  expect(state.loads).toBe(1);
});

it('views of 10,000 orgs are kept and no more, and none of what is no org is asked for (T17)', async () => {
  const { orgViews, state } = counted(1_000);
  const loadsAfter = async (org: string) => {
    await orgViews.of(org);
    return state.loads;
  };
  for (let n = 1; n <= 10_000; n += 1) await orgViews.of(`org-${n}`);
  expect(await loadsAfter('org-1')).toBe(10_000);
  expect(await loadsAfter('one-more')).toBe(10_001);
  expect(await loadsAfter('org-1')).toBe(10_002);
  expect(() => orgViews.of('../acme')).toThrow(expect.objectContaining({ code: 'invalid_org_id' }));
  expect(state.loads).toBe(10_002);
});

it('a view says until when it stays as it is: to the next end of an override or a grace', async () => {
  const { orgViews, overrides, repository, clock } = counted(0);
  expect((await orgViews.of('acme')).steadyUntil(START)).toBe(Number.POSITIVE_INFINITY);
  const wish = { subjectType: 'org', subjectId: 'acme', limit: 9, actor: 'op' };
  await overrides.set({ ...wish, key: 'devices', expiresAt: START + 20 * DAY });
  await overrides.set({ ...wish, key: 'zones', expiresAt: START + 5 });
  await repository.saveSubscription({ subscription: PAST_DUE, expectedVersion: null, audit: null });
  const view = await orgViews.of('acme');
  const ends = [START, START + 5, START + 14 * DAY, START + 20 * DAY].map(view.steadyUntil);
  expect(ends).toEqual([START + 5, START + 14 * DAY, START + 20 * DAY, Number.POSITIVE_INFINITY]);
  expect(view.tier(clock.at).isDefault).toBe(false);
  expect(view.tier(START + 14 * DAY).isDefault).toBe(true);
});

it('a live subscription of a tier that the catalog lost is said once, since somebody pays for it', async () => {
  const { orgViews, repository, log } = counted(0);
  const save = (changes: Partial<Subscription>) =>
    repository.saveSubscription({
      subscription: { ...PAST_DUE, ...changes },
      expectedVersion: null,
      audit: null,
    });
  await save({ id: 's1', tier: 'free' });
  await save({ id: 's2', tier: null, status: 'active' });
  await save({ id: 's3', tier: 'gold', status: 'canceled', endedAt: START });
  await save({ id: 'g1', tier: 'gold', status: 'active', provider: 'manual', cancelsAt: START });
  await orgViews.of('acme');
  expect(log).toEqual([]);
  await save({ id: 's4', tier: 'gold', status: 'active' });
  await save({ id: 's5', tier: 'gold', status: 'active', org: 'globex' });
  for (const org of ['acme', 'globex', 'acme'])
    expect((await orgViews.of(org)).tier(START).isDefault).toBe(org === 'globex');
  expect(log).toEqual([
    'Subscriptions of a tier that is not in the catalog grant nothing. Put the tier back.',
  ]);
});
