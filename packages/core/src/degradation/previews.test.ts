import { describe, expect, it } from 'vitest';
import { DAY, lifecycleOnMemory, START } from './lifecycle.test-support.ts';

const code = (expected: string) => expect.objectContaining({ code: expected });

function acme() {
  const one = lifecycleOnMemory();
  for (let n = 1; n <= 5; n += 1) one.host.add('acme', 'devices', `d${n}`, START - 10 * DAY + n);
  for (let n = 1; n <= 4; n += 1) one.host.add('acme', 'org_users', `u${n}`, START - 10 * DAY + n);
  return one;
}

describe('a preview', () => {
  it('says by key which rows a downgrade would keep and which it would wind down, and when', async () => {
    const { degradation, setLimit, repository } = acme();
    // What the org has today is an override; on the plan alone it would be over.
    await setLimit('acme', 'zones', 9);
    const before = await repository.loadDegradation('acme');
    expect(await degradation.preview({ org: 'acme', tier: 'free', at: START + 3 * DAY })).toEqual({
      org: 'acme',
      tier: 'free',
      at: START + 3 * DAY,
      policy: 'newest_first',
      keys: [
        { key: 'org_users', unit: 'count', current: 4, limit: 2, excess: 2, flagged: [], kept: [] },
        {
          key: 'devices',
          unit: 'count',
          current: 5,
          limit: 3,
          excess: 2,
          flagged: ['d5', 'd4'],
          kept: ['d1', 'd2', 'd3'],
        },
      ],
      timeline: {
        warnedAt: START + 3 * DAY,
        flaggedAt: START + 3 * DAY,
        degradedAt: START + 17 * DAY,
        markedAt: START + 31 * DAY,
      },
    });
    const after = await repository.loadDegradation('acme');
    expect({ ...after, readAt: 0 }).toEqual({ ...before, readAt: 0 });
  });

  it('is what then happens', async () => {
    const { degradation, setLimit, clock } = acme();
    await setLimit('acme', 'devices', 9);
    await degradation.setSelectionPolicy({ org: 'acme', policy: 'oldest_first', actor: 'ada' });
    await degradation.setKeep({ org: 'acme', resource: 'devices', id: 'd1', keep: true, actor: 'ada' });
    const foretold = await degradation.preview({ org: 'acme', tier: 'free' });
    // The override still wins over the plan: with it nothing of the devices would go.
    expect(foretold.keys.map(({ key }) => key)).toEqual(['org_users']);
    await setLimit('acme', 'devices', 3);
    const { keys } = await degradation.preview({ org: 'acme', tier: 'free' });
    const devices = keys.find(({ key }) => key === 'devices');
    expect(devices).toMatchObject({ flagged: ['d2', 'd3'], kept: ['d1', 'd4', 'd5'] });
    clock.at += DAY;
    expect((await degradation.report('acme')).flagged.map(({ id }) => id)).toEqual(devices?.flagged);
  });

  it('knows that an override ends before the change', async () => {
    const { degradation, overrides } = acme();
    const override = { subjectType: 'org', subjectId: 'acme', key: 'devices', limit: 9, actor: 'operator' };
    await overrides.set({ ...override, expiresAt: START + DAY });
    const keysAt = async (at: number) =>
      (await degradation.preview({ org: 'acme', tier: 'free', at })).keys.map(({ key }) => key);
    expect(await keysAt(START + DAY - 1)).toEqual(['org_users']);
    expect(await keysAt(START + DAY)).toEqual(['org_users', 'devices']);
  });

  it('flags at the end of the warned stage under manual', async () => {
    const { degradation } = acme();
    await degradation.setSelectionPolicy({ org: 'acme', policy: 'manual', actor: 'ada' });
    const { keys, timeline } = await degradation.preview({ org: 'acme', tier: 'free' });
    expect(keys[1]?.flagged).toEqual(['d5', 'd4']);
    expect(timeline).toMatchObject({
      warnedAt: START,
      flaggedAt: START + 14 * DAY,
      degradedAt: START + 14 * DAY,
    });
  });

  it('flags at once under manual in a spell whose warned stage is over', async () => {
    const { degradation, clock } = acme();
    await degradation.setSelectionPolicy({ org: 'acme', policy: 'manual', actor: 'ada' });
    await degradation.report('acme');
    clock.at += 20 * DAY;
    const { timeline } = await degradation.preview({ org: 'acme', tier: 'free' });
    expect(timeline).toMatchObject({ flaggedAt: START + 20 * DAY, degradedAt: START + 14 * DAY });
  });

  it('goes on with the spell an org is in already', async () => {
    const { degradation, clock } = acme();
    await degradation.report('acme');
    clock.at += 5 * DAY;
    const { timeline } = await degradation.preview({ org: 'acme', tier: 'free' });
    expect(timeline).toMatchObject({
      warnedAt: START,
      flaggedAt: START + 5 * DAY,
      degradedAt: START + 14 * DAY,
    });
  });

  it('has no timeline for an org within its limits, nor while the lifecycle is off', async () => {
    const { degradation } = lifecycleOnMemory();
    expect(await degradation.preview({ org: 'acme', tier: 'free' })).toMatchObject({
      keys: [],
      timeline: null,
    });
    const off = lifecycleOnMemory({ overCapacity: false });
    for (let n = 1; n <= 5; n += 1) off.host.add('acme', 'devices', `d${n}`, START);
    expect(await off.degradation.preview({ org: 'acme', tier: 'free' })).toMatchObject({
      keys: [{ key: 'devices', excess: 2, flagged: [], kept: [] }],
      timeline: null,
    });
  });

  it('is refused for an unknown tier and an odd org id', async () => {
    const { degradation } = lifecycleOnMemory();
    await expect(degradation.preview({ org: 'acme', tier: 'gold' })).rejects.toEqual(code('unknown_tier'));
    await expect(degradation.preview({ org: 'a/b', tier: 'free' })).rejects.toEqual(code('invalid_org_id'));
  });
});
