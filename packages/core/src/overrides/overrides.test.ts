import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { lifecycleOnMemory, START } from '../degradation/lifecycle.test-support.ts';
import type { SetOverrideRequest } from './types.ts';

const wish = { subjectType: 'org', subjectId: 'acme', key: 'devices', limit: 12, actor: 'olga' } as const;
const code = (expected: string) => expect.objectContaining({ code: expected });

describe('setting an override', () => {
  it('stores the operator’s wish with its author, and has it in force at once in this process', async () => {
    const { overrides, usage, repository } = lifecycleOnMemory({ limitsTtlMs: 3_600_000 });
    const limitNow = async () => (await usage('acme')).items.find(({ key }) => key === 'devices')?.limit;
    expect(await limitNow()).toEqual({ value: 3, source: { kind: 'default' } });
    const stored = await overrides.set({ ...wish, reason: 'a big customer' });
    expect(stored).toEqual({
      id: expect.stringMatching(/^[0-9A-Z]{26}$/),
      subjectType: 'org',
      subjectId: 'acme',
      key: 'devices',
      period: null,
      limit: 12,
      expiresAt: null,
      reason: 'a big customer',
      createdBy: 'olga',
      createdAt: START,
      updatedAt: START,
    });
    expect(await limitNow()).toEqual({ value: 12, source: { kind: 'override', id: stored.id } });
    expect(await repository.listAudit({ org: 'acme', before: null, limit: 9 })).toMatchObject([
      { actor: 'olga', action: 'override.set', before: null },
    ]);
  });

  it('replaces the one of the same subject, key and period, which keeps its id and its first day', async () => {
    const { overrides, clock } = lifecycleOnMemory();
    const first = await overrides.set(wish);
    clock.at += 1_000;
    const second = await overrides.set({ ...wish, limit: 20, actor: 'otto' });
    expect(second).toMatchObject({ id: first.id, createdAt: START, updatedAt: START + 1_000, limit: 20 });
    expect(await overrides.list()).toEqual([second]);
  });

  it('takes one for every period and one for a single period as two', async () => {
    const { overrides } = lifecycleOnMemory();
    const every = await overrides.set({ ...wish, key: 'door_opens' });
    const daily = await overrides.set({ ...wish, key: 'door_opens', period: 'day' });
    expect(daily.id).not.toBe(every.id);
    expect(await overrides.list()).toHaveLength(2);
  });

  it('reads -1 as unlimited and 0 as nothing at all', async () => {
    const { overrides } = lifecycleOnMemory();
    expect((await overrides.set({ ...wish, limit: -1 })).limit).toBeNull();
    expect((await overrides.set({ ...wish, limit: 0 })).limit).toBe(0);
    expect(Object.is((await overrides.set({ ...wish, limit: -0 })).limit, 0)).toBe(true);
    expect((await overrides.set({ ...wish, limit: 2 ** 53 - 1 })).limit).toBe(2 ** 53 - 1);
  });

  it('lists an override until the instant it expires, and afterwards only when expired ones are asked for', async () => {
    const { overrides, clock } = lifecycleOnMemory();
    const stored = await overrides.set({ ...wish, expiresAt: START + 1_000 });
    clock.at = START + 999;
    expect(await overrides.list()).toEqual([stored]);
    clock.at = START + 1_000;
    expect(await overrides.list()).toEqual([]);
    expect(await overrides.list({ includeExpired: true })).toEqual([stored]);
  });

  it('takes the first and the last instant it can tell, and a reason of 500 characters', async () => {
    const { overrides } = lifecycleOnMemory();
    for (const expiresAt of [0, Date.UTC(10_000, 0) - 1])
      expect(await overrides.set({ ...wish, expiresAt, reason: 'x'.repeat(500) })).toMatchObject({
        expiresAt,
      });
  });

  it('is retired by an expiry in the past', async () => {
    const { overrides, usage } = lifecycleOnMemory();
    await overrides.set(wish);
    await overrides.set({ ...wish, expiresAt: START - 1 });
    expect((await usage('acme')).items.find(({ key }) => key === 'devices')?.limit.source).toEqual({
      kind: 'default',
    });
  });

  it('puts the org on the sweep’s list, since it may be over capacity now', async () => {
    const { overrides, repository } = lifecycleOnMemory();
    await overrides.set({ ...wish, limit: 0 });
    const { claims } = await repository.claimSweeps({ org: null, dueAt: null, limit: 5, leaseMs: 1 });
    expect(claims).toMatchObject([{ org: 'acme' }]);
  });
});

describe('T22: an override is refused, and nothing is written, for', () => {
  const odd = (request: Record<string, unknown>) => request as Partial<SetOverrideRequest>;
  const refused: readonly (readonly [string, Partial<SetOverrideRequest>, string])[] = [
    ['a subject type the host does not have', odd({ subjectType: 'user' }), 'unknown_subject_type'],
    [
      'a subject type that is an object’s own property',
      odd({ subjectType: '__proto__' }),
      'unknown_subject_type',
    ],
    ['an odd org id', odd({ subjectId: 'a/b' }), 'invalid_org_id'],
    ['an empty org id', odd({ subjectId: '' }), 'invalid_org_id'],
    ['an unknown key', odd({ key: 'devcies' }), 'unknown_quota_key'],
    ['a key that is an object’s own property', odd({ key: 'constructor' }), 'unknown_quota_key'],
    ['a period the key does not have', odd({ period: 'day' }), 'unknown_period'],
    ['a period nobody has', odd({ period: 'fortnight' }), 'unknown_period'],
    ['an expiry that is no number', odd({ expiresAt: '2026-01-01' }), 'invalid_request'],
    ['an expiry beyond the calendar', odd({ expiresAt: 8.64e15 + 1 }), 'invalid_request'],
    [
      'an expiry in the year 10000, which RFC 3339 cannot tell',
      odd({ expiresAt: Date.UTC(10_000, 0) }),
      'invalid_request',
    ],
    ['an expiry before 1970', odd({ expiresAt: -1 }), 'invalid_request'],
    ['a reason of 501 characters', odd({ reason: 'x'.repeat(501) }), 'invalid_request'],
    ['a reason that is no text', odd({ reason: 5 }), 'invalid_request'],
    ['a reason with a NUL character', odd({ reason: 'a\u0000b' }), 'invalid_request'],
    ['a reason with half of a surrogate pair', odd({ reason: 'cut \ud83d' }), 'invalid_request'],
    ['an actor with half of a surrogate pair', odd({ actor: 'cut \ud83d' }), 'invalid_request'],
    ...[-2, 1.5, 2 ** 53, Number.POSITIVE_INFINITY, Number.NaN, '0x10', '5', null, undefined, true, []].map(
      (limit) => [`a limit of ${String(limit)}`, odd({ limit }), 'invalid_limit'] as const,
    ),
  ];
  it.each(refused)('%s', async (_, part, expected) => {
    const { overrides, repository } = lifecycleOnMemory();
    await expect(overrides.set({ ...wish, ...part } as typeof wish)).rejects.toEqual(code(expected));
    expect(await overrides.list({ includeExpired: true })).toEqual([]);
    expect(await repository.listAudit({ org: null, before: null, limit: 9 })).toEqual([]);
  });

  it('any number that is not a whole one from 0 to 2^53-1, or -1', async () => {
    const { overrides } = lifecycleOnMemory();
    const number = fc.oneof(fc.double(), fc.integer(), fc.maxSafeInteger());
    await fc.assert(
      fc.asyncProperty(number, async (limit) => {
        const isGood = Number.isSafeInteger(limit) && limit >= -1;
        const set = overrides.set({ ...wish, limit });
        if (isGood) expect((await set).limit).toBe(limit === -1 ? null : limit + 0);
        else await expect(set).rejects.toEqual(code('invalid_limit'));
      }),
    );
  });
});
