import { describe, expect, it } from 'vitest';
import { DAY, HOUR, lifecycleOnMemory, START, testClock } from './lifecycle.test-support.ts';

const code = (expected: string) => expect.objectContaining({ code: expected });
const device = (id: string) => ({ resource: 'devices', id });

/** An org with five devices, d1 the oldest, and a limit of 3. */
function acmeOver(options: Parameters<typeof lifecycleOnMemory>[0] = {}) {
  const lifecycle = lifecycleOnMemory(options);
  for (let n = 1; n <= 5; n += 1) {
    lifecycle.host.add('acme', 'devices', `d${n}`, START - 10 * DAY + n * HOUR, START - n * HOUR);
  }
  const pin = (id: string, keep = true) =>
    lifecycle.degradation.setKeep({ org: 'acme', ...device(id), keep, actor: 'ada' });
  return { ...lifecycle, pin };
}

const ids = (report: { flagged: readonly { id: string }[] }) => report.flagged.map(({ id }) => id);

describe('the degradation report', () => {
  it('says nothing and stores nothing of an org within its limits', async () => {
    const { degradation, host, repository } = lifecycleOnMemory();
    host.add('acme', 'devices', 'd1', START);
    expect(await degradation.report('acme')).toEqual({
      org: 'acme',
      stage: 'none',
      level: 0,
      overCapacity: false,
      overCapacityAt: null,
      policy: 'newest_first',
      overages: [],
      flagged: [],
    });
    expect((await repository.loadDegradation('acme')).version).toBe(0);
  });

  it('lets the process see to others while a host that has its many rows at hand lists them', async () => {
    const { degradation, host, setLimit } = lifecycleOnMemory();
    for (let n = 1; n <= 10_001; n += 1) host.add('acme', 'devices', `d${n}`, START - n);
    await setLimit('acme', 'devices', 10_000);
    let turns = 0;
    const turn = () => {
      turns += 1;
      next = setImmediate(turn);
    };
    let next = setImmediate(turn);
    const { flagged } = await degradation.report('acme');
    clearImmediate(next);
    expect(flagged).toMatchObject([{ id: 'd1' }]);
    expect(turns).toBeGreaterThanOrEqual(10);
  });

  it('starts the clock at the first look over the limit and flags exactly the excess', async () => {
    const { degradation, clock } = acmeOver();
    const first = await degradation.report('acme');
    expect(first).toEqual({
      org: 'acme',
      stage: 'warned',
      level: 0,
      overCapacity: true,
      overCapacityAt: START,
      policy: 'newest_first',
      overages: [{ key: 'devices', unit: 'count', current: 5, limit: 3, excess: 2 }],
      flagged: [
        { ...device('d5'), state: 'flagged', flaggedAt: START, markedAt: null },
        { ...device('d4'), state: 'flagged', flaggedAt: START, markedAt: null },
      ],
    });
    clock.at += HOUR;
    expect(await degradation.report('acme')).toEqual(first);
  });

  it('passes through every stage of the table with the rows in its state', async () => {
    const { degradation, clock } = acmeOver();
    await degradation.report('acme');
    clock.at = START + 21 * DAY;
    expect(await degradation.report('acme')).toMatchObject({
      stage: 'degraded',
      level: 0.5,
      flagged: [{ id: 'd5', state: 'degraded', flaggedAt: START, markedAt: null }, { id: 'd4' }],
    });
    clock.at = START + 30 * DAY;
    expect(await degradation.report('acme')).toMatchObject({
      stage: 'marked_for_delete',
      level: 1,
      flagged: [{ id: 'd5', state: 'marked_for_delete', flaggedAt: START, markedAt: clock.at }, { id: 'd4' }],
    });
  });

  it('clears itself at once when the limit rises, and a new spell starts a new clock', async () => {
    const { degradation, clock, setLimit } = acmeOver();
    await degradation.report('acme');
    clock.at = START + 20 * DAY;
    await setLimit('acme', 'devices', 5);
    expect(await degradation.report('acme')).toMatchObject({
      stage: 'none',
      overCapacityAt: null,
      flagged: [],
    });
    clock.at = START + 21 * DAY;
    await setLimit('acme', 'devices', 4);
    expect(await degradation.report('acme')).toMatchObject({
      stage: 'warned',
      overCapacityAt: START + 21 * DAY,
      flagged: [{ id: 'd5', flaggedAt: START + 21 * DAY }],
    });
  });

  it('clears itself at once when rows are deleted', async () => {
    const { degradation, host } = acmeOver();
    await degradation.report('acme');
    host.drop('acme', 'devices', 'd1');
    expect(ids(await degradation.report('acme'))).toEqual(['d5']);
    host.drop('acme', 'devices', 'd2');
    expect(await degradation.report('acme')).toMatchObject({
      stage: 'none',
      overCapacity: false,
      flagged: [],
    });
  });

  it('starts the clock when an override expires, without any job, and gives the whole grace from then', async () => {
    const { degradation, clock, overrides } = acmeOver();
    const override = { subjectType: 'org', subjectId: 'acme', key: 'devices', limit: 9, actor: 'operator' };
    await overrides.set({ ...override, expiresAt: START + 40 * DAY });
    clock.at = START + 40 * DAY - 1;
    expect((await degradation.report('acme')).stage).toBe('none');
    clock.at = START + 40 * DAY;
    expect(await degradation.report('acme')).toMatchObject({ stage: 'warned', overCapacityAt: clock.at });
  });

  it('counts keys that are never wound down without flagging their rows', async () => {
    const { degradation, host } = lifecycleOnMemory();
    for (let n = 1; n <= 4; n += 1) host.add('acme', 'org_users', `u${n}`, START);
    expect(await degradation.report('acme')).toMatchObject({
      stage: 'warned',
      overages: [{ key: 'org_users', excess: 2 }],
      flagged: [],
    });
    expect(host.state.listed).toBe(0);
  });

  it('picks exactly the excess of each key', async () => {
    const { degradation, host } = acmeOver();
    for (let n = 1; n <= 5; n += 1) host.add('acme', 'zones', `z${n}`, START + n);
    expect((await degradation.report('acme')).flagged).toMatchObject([
      device('d5'),
      device('d4'),
      { resource: 'zones', id: 'z5' },
      { resource: 'zones', id: 'z4' },
      { resource: 'zones', id: 'z3' },
    ]);
  });

  it('when the lifecycle is off is none, level 0 and empty, and the policy is kept all the same', async () => {
    const { degradation, repository } = acmeOver({ overCapacity: false });
    const off = {
      stage: 'none',
      level: 0,
      overCapacity: false,
      overCapacityAt: null,
      overages: [],
      flagged: [],
    };
    expect(await degradation.report('acme')).toEqual({ org: 'acme', policy: 'newest_first', ...off });
    const chosen = await degradation.setSelectionPolicy({ org: 'acme', policy: 'manual', actor: 'ada' });
    expect(chosen).toEqual({ org: 'acme', policy: 'manual', ...off });
    expect((await repository.loadDegradation('acme')).policy).toBe('manual');
  });

  it('is answered as unavailable while the host’s tables are, and changes nothing then', async () => {
    const { degradation, host, repository } = acmeOver();
    const before = await degradation.report('acme');
    host.state.isDown = true;
    await expect(degradation.report('acme')).rejects.toEqual(code('quota_unavailable'));
    host.state.isDown = false;
    expect(await degradation.report('acme')).toEqual(before);
    expect((await repository.loadDegradation('acme')).version).toBe(1);
  });

  it.each<[string, object]>([
    ['an id that is a number', { id: 5 }],
    ['a creation that is a text', { createdAt: '2026-04-09T12:00:00Z' }],
    ['a last use that is a text', { lastUsedAt: '2026-04-09T12:00:00Z' }],
  ])('is unavailable, and says why, where a row has %s', async (_, change) => {
    const { degradation, host } = acmeOver();
    host.rowsOf('acme', 'devices').unshift({ id: 'd0', createdAt: 0, lastUsedAt: null, ...change });
    const refused = await degradation.report('acme').catch((error: unknown) => error);
    expect(refused).toEqual(code('quota_unavailable'));
    expect(String((refused as Error).cause)).toContain(
      'inventory.list answered a row of devices that is none',
    );
  });

  it('refuses an odd org id before anything is read', async () => {
    const { degradation } = lifecycleOnMemory();
    await expect(degradation.report('a/b')).rejects.toEqual(code('invalid_org_id'));
  });

  it('goes by the use it is given, so that a usage report and its status say the same', async () => {
    const { degradation, usage, host } = acmeOver();
    const use = await usage('acme');
    host.drop('acme', 'devices', 'd1');
    expect((await degradation.report('acme', use)).overages).toMatchObject([{ current: 5, excess: 2 }]);
    // D1: four rows are left and three fit, whatever was counted before.
    expect(ids(await degradation.report('acme', use))).toEqual(['d5']);
  });
});

describe('D4: clocks', () => {
  it('skip no grace when this process is a day ahead of the repository', async () => {
    const shared = acmeOver();
    await shared.degradation.report('acme');
    const ahead = lifecycleOnMemory({}, { ...shared, clock: testClock(START + 14 * DAY) });
    shared.clock.at = START + 13 * DAY;
    expect((await ahead.degradation.report('acme')).stage).toBe('warned');
    shared.clock.at = START + 14 * DAY;
    expect((await ahead.degradation.report('acme')).stage).toBe('degraded');
  });

  it('skip no grace when the spell was first seen by a process a day behind', async () => {
    const shared = acmeOver();
    const behind = lifecycleOnMemory({}, { ...shared, clock: testClock(START - DAY) });
    expect((await behind.degradation.report('acme')).overCapacityAt).toBe(START);
  });

  it('leave no trace when both were wrong for a while', async () => {
    const { degradation, clock } = acmeOver();
    const before = await degradation.report('acme');
    clock.at = START + 29 * DAY;
    expect((await degradation.report('acme')).stage).toBe('marked_for_delete');
    clock.at = START;
    expect(await degradation.report('acme')).toEqual(before);
  });
});

describe('the selection policy', () => {
  it('is stored, audited once, and re-picks at once, moving only the rows that differ', async () => {
    const { degradation, clock, repository } = acmeOver();
    await degradation.report('acme');
    clock.at = START + HOUR;
    const set = () =>
      degradation.setSelectionPolicy({ org: 'acme', policy: 'least_recently_used', actor: 'ada' });
    const report = await set();
    expect(report).toMatchObject({ policy: 'least_recently_used' });
    expect(report.flagged).toMatchObject([
      { id: 'd5', flaggedAt: START },
      { id: 'd4', flaggedAt: START },
    ]);
    await set();
    const oldest = await degradation.setSelectionPolicy({
      org: 'acme',
      policy: 'oldest_first',
      actor: 'ada',
    });
    expect(oldest.flagged).toMatchObject([
      { id: 'd1', flaggedAt: START + HOUR },
      { id: 'd2', flaggedAt: START + HOUR },
    ]);
    const audit = await repository.listAudit({ org: 'acme', before: null, limit: 9 });
    expect(audit).toMatchObject([
      { action: 'policy.set', before: 'least_recently_used', after: 'oldest_first', actor: 'ada' },
      { action: 'policy.set', before: null, after: 'least_recently_used' },
    ]);
  });

  it('manual flags nothing while warned, and afterwards the newest of the unpinned', async () => {
    const { degradation, clock, pin } = acmeOver();
    await degradation.setSelectionPolicy({ org: 'acme', policy: 'manual', actor: 'ada' });
    await pin('d5');
    expect(await degradation.report('acme')).toMatchObject({
      stage: 'warned',
      overCapacity: true,
      flagged: [],
    });
    clock.at = START + 14 * DAY;
    expect(ids(await degradation.report('acme'))).toEqual(['d4', 'd3']);
  });

  it('survives a spell', async () => {
    const { degradation, setLimit } = acmeOver();
    await degradation.setSelectionPolicy({ org: 'acme', policy: 'oldest_first', actor: 'ada' });
    await setLimit('acme', 'devices', -1);
    expect((await degradation.report('acme')).policy).toBe('oldest_first');
  });

  it('is refused when there is no such policy', async () => {
    const { degradation, repository } = acmeOver();
    const policy = 'random' as 'manual';
    await expect(degradation.setSelectionPolicy({ org: 'acme', policy, actor: 'ada' })).rejects.toEqual(
      code('invalid_request'),
    );
    expect((await repository.loadDegradation('acme')).policy).toBeNull();
  });
});

describe('keeping a row', () => {
  it('re-picks at once, with the pinned row last, and unpinning undoes it', async () => {
    const { pin } = acmeOver();
    expect(ids(await pin('d5'))).toEqual(['d4', 'd3']);
    expect(ids(await pin('d5', false))).toEqual(['d5', 'd4']);
  });

  it('keeps no row of another key that has the same id', async () => {
    const { degradation, host } = acmeOver();
    host.add('acme', 'zones', 'd5', START);
    const pinned = { org: 'acme', resource: 'zones', id: 'd5', keep: true, actor: 'ada' };
    expect(ids(await degradation.setKeep(pinned))).toEqual(['d5', 'd4']);
  });

  it('survives a spell', async () => {
    const { degradation, pin, setLimit } = acmeOver();
    await pin('d5');
    await setLimit('acme', 'devices', 9);
    expect((await degradation.report('acme')).stage).toBe('none');
    await setLimit('acme', 'devices', 4);
    expect(ids(await degradation.report('acme'))).toEqual(['d4']);
  });

  it('is refused for more rows than the limit', async () => {
    const { pin, repository } = acmeOver();
    for (const id of ['d1', 'd2', 'd3', 'd3']) await pin(id);
    await expect(pin('d4')).rejects.toEqual(code('keep_limit_reached'));
    expect((await repository.loadDegradation('acme')).pins).toHaveLength(3);
  });

  it('T31: is not refused because of pins whose rows are gone', async () => {
    const { pin, host, repository } = acmeOver();
    for (const id of ['d1', 'd2', 'd3']) await pin(id);
    host.drop('acme', 'devices', 'd2');
    await pin('d4');
    expect((await repository.loadDegradation('acme')).pins.map(({ id }) => id)).toEqual(['d1', 'd3', 'd4']);
  });

  it('T31: unpins no row that a page of the list passed over', async () => {
    const { pin, host, repository } = acmeOver();
    for (const id of ['d1', 'd2', 'd3']) await pin(id);
    const { list } = host.inventory;
    host.inventory.list = async function* (request) {
      for await (const row of list(request)) if (row.id !== 'd2') yield row;
    };
    await expect(pin('d4')).rejects.toEqual(code('keep_limit_reached'));
    expect((await repository.loadDegradation('acme')).pins).toHaveLength(3);
  });

  it('T31: pins more than a limit that was lowered later, and does not stop the wind-down', async () => {
    const { degradation, pin, setLimit } = acmeOver();
    for (const id of ['d3', 'd4', 'd5']) await pin(id);
    await setLimit('acme', 'devices', 1);
    expect(ids(await degradation.report('acme'))).toEqual(['d2', 'd1', 'd5', 'd4']);
  });

  it('A1: is refused for a row of another org, as for one that does not exist', async () => {
    const { pin, host } = acmeOver();
    host.add('globex', 'devices', 'g1', START);
    await expect(pin('g1')).rejects.toEqual(code('resource_not_found'));
    await expect(pin('nothing')).rejects.toEqual(code('resource_not_found'));
    await expect(pin('nothing', false)).rejects.toEqual(code('resource_not_found'));
  });

  it('A1: is refused where the host answers undefined for a row that is not there', async () => {
    const { pin, host } = acmeOver();
    const { find } = host.inventory;
    host.inventory.find = async (request) => (await find(request)) ?? (undefined as never);
    await expect(pin('nothing')).rejects.toEqual(code('resource_not_found'));
  });

  it.each(['org_users', 'door_opens', 'devcies', '__proto__'])(
    'is refused for rows of %s',
    async (resource) => {
      const { degradation } = acmeOver();
      await expect(
        degradation.setKeep({ org: 'acme', resource, id: 'd1', keep: true, actor: 'ada' }),
      ).rejects.toEqual(code('invalid_request'));
    },
  );

  it.each([
    ['an empty id', ''],
    ['a long id', 'x'.repeat(256)],
    ['a NUL character', 'a\u0000'],
    ['half of a surrogate pair', 'a\ud83d'],
  ])('is refused for %s', async (_, id) => {
    await expect(acmeOver().pin(id)).rejects.toEqual(code('invalid_request'));
  });
});

describe('capacity notices', () => {
  const names = ({ told }: ReturnType<typeof acmeOver>) => told.map(({ name }) => name);

  it('are told once a crossing, whoever looks and however often', async () => {
    const one = acmeOver();
    const peer = lifecycleOnMemory({}, one);
    const look = () =>
      Promise.all([one, peer, one, peer].map(({ degradation }) => degradation.report('acme')));
    await look();
    await look();
    expect([...one.told, ...peer.told].map(({ name }) => name)).toEqual(['capacity.warned']);
    one.clock.at = START + 14 * DAY;
    await look();
    one.clock.at = START + 28 * DAY;
    await look();
    await one.setLimit('acme', 'devices', 9);
    await look();
    const told = [...one.told, ...peer.told].map(({ name }) => name).sort();
    expect(told).toEqual(['capacity.cleared', 'capacity.degraded', 'capacity.marked', 'capacity.warned']);
  });

  it('tell nothing of a create that is counted beside its row while it ends', async () => {
    const { degradation, usage, host, told, repository } = acmeOver();
    for (const id of ['d4', 'd5']) host.drop('acme', 'devices', id);
    const use = await usage('acme');
    const items = use.items.map((item) => (item.key === 'devices' ? { ...item, current: 4 } : item));
    expect(await degradation.report('acme', { ...use, items })).toMatchObject({
      stage: 'none',
      overages: [],
    });
    expect(told).toEqual([]);
    expect((await repository.loadDegradation('acme')).version).toBe(0);
  });

  it('tell nothing by a limit that another process has changed meanwhile', async () => {
    const one = acmeOver({ limitsTtlMs: 5_000 });
    const { host, repository, clock } = one;
    const peer = lifecycleOnMemory({ limitsTtlMs: 5_000 }, { host, repository, clock });
    await one.degradation.report('acme');
    await peer.degradation.report('acme');
    await one.setLimit('acme', 'devices', 9);
    await one.degradation.report('acme');
    expect(await peer.degradation.report('acme')).toMatchObject({ stage: 'none', overages: [] });
    await peer.setLimit('acme', 'devices', 3);
    await peer.degradation.report('acme');
    expect(await one.degradation.report('acme')).toMatchObject({ stage: 'warned' });
    expect(names(one)).toEqual(['capacity.warned', 'capacity.cleared']);
    expect(peer.told.map(({ name }) => name)).toEqual(['capacity.warned']);
  });

  it('tell every stage that passed while nobody looked, in order', async () => {
    const one = acmeOver();
    await one.degradation.report('acme');
    one.clock.at = START + 60 * DAY;
    await one.degradation.report('acme');
    expect(names(one)).toEqual(['capacity.warned', 'capacity.degraded', 'capacity.marked']);
  });

  it('are not told again when a clock goes back and forth over a crossing', async () => {
    const one = acmeOver();
    for (const at of [0, 15 * DAY, 13 * DAY, 15 * DAY, 0, 16 * DAY]) {
      one.clock.at = START + at;
      await one.degradation.report('acme');
    }
    expect(names(one)).toEqual(['capacity.warned', 'capacity.degraded']);
  });

  it('are told anew in a new spell', async () => {
    const one = acmeOver();
    for (const limit of [3, 9, 3]) {
      await one.setLimit('acme', 'devices', limit);
      await one.degradation.report('acme');
      one.clock.at += HOUR;
    }
    expect(
      one.told.map(({ name, notice }) => [name, 'overCapacityAt' in notice && notice.overCapacityAt]),
    ).toEqual([
      ['capacity.warned', START],
      ['capacity.cleared', START],
      ['capacity.warned', START + 2 * HOUR],
    ]);
  });
});
