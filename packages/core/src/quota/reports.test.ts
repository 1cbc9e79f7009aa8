import { describe, expect, it } from 'vitest';
import { gateOnMemory } from './gate.test-support.ts';

const create = (key: string, amount?: number) => ({
  org: 'acme',
  charges: [{ key, ...(amount === undefined ? {} : { amount }) }],
});
const DAY = { key: 'door_opens', window: 'day:2026-04-09' };
const MONTH = { key: 'door_opens', window: 'month:2026-04' };

async function used({ counters }: ReturnType<typeof gateOnMemory>): Promise<readonly (number | undefined)[]> {
  const readings = await counters.read({ org: 'acme', counters: [DAY, MONTH] });
  return readings.map((reading) => reading?.committed);
}

describe('recorded metered use', () => {
  it('counts in every window of the key, beside what was used before', async () => {
    const world = gateOnMemory();
    const admission = await world.gate.reserve(create('door_opens', 2));
    if (!admission.admitted) throw new Error('refused');
    await admission.reservation.commit();
    await world.gate.record({ org: 'acme', key: 'door_opens', amount: 3 });
    expect(await used(world)).toEqual([5, 5]);
    expect((await world.gate.reserve(create('door_opens'))).admitted).toBe(false);
  });

  it('counts above the limit too: nobody is asked', async () => {
    const world = gateOnMemory();
    await world.gate.record({ org: 'acme', key: 'door_opens', amount: 100 });
    expect(await used(world)).toEqual([100, 100]);
    expect((await world.gate.reserve(create('door_opens'))).admitted).toBe(false);
  });

  it('counts in the window of one period only, if one is named', async () => {
    const world = gateOnMemory();
    await world.gate.record({ org: 'acme', key: 'door_opens', amount: 3, period: 'day' });
    await world.gate.record({ org: 'acme', key: 'door_opens', amount: 4, period: 'month' });
    expect(await used(world)).toEqual([3, 4]);
  });

  it('is one unit by default', async () => {
    const world = gateOnMemory();
    await world.gate.record({ org: 'acme', key: 'door_opens' });
    expect(await used(world)).toEqual([1, 1]);
  });

  it('counts once under one idempotency key, which is another one than that of a release', async () => {
    const world = gateOnMemory();
    for (let told = 0; told < 3; told += 1)
      await world.gate.record({ org: 'acme', key: 'door_opens', amount: 4, idempotencyKey: 'k' });
    expect(await used(world)).toEqual([4, 4]);
    await world.gate.release({ org: 'acme', key: 'door_opens', idempotencyKey: 'k' });
    expect(await used(world)).toEqual([3, 3]);
  });

  it('counts once for each period under one idempotency key, as for each quota key', async () => {
    const world = gateOnMemory();
    const record = (amount: number, period?: 'day' | 'month') =>
      world.gate.record({
        org: 'acme',
        key: 'door_opens',
        amount,
        idempotencyKey: 'k',
        ...(period === undefined ? {} : { period }),
      });
    for (let told = 0; told < 2; told += 1) {
      await record(3, 'day');
      await record(4, 'month');
    }
    expect(await used(world)).toEqual([3, 4]);
    for (let told = 0; told < 2; told += 1) await record(10);
    expect(await used(world)).toEqual([13, 14]);
  });

  it('is added to the last snapshot where the store has no count, and is written behind', async () => {
    const world = gateOnMemory();
    world.snapshots.set(`acme/${DAY.key}/${DAY.window}`, { org: 'acme', ...DAY, used: 2, endsAt: null });
    await world.gate.record({ org: 'acme', key: 'door_opens', amount: 5, idempotencyKey: 'k' });
    expect(await used(world)).toEqual([7, 5]);
    await world.gate.close();
    expect(world.snapshots.get(`acme/${DAY.key}/${DAY.window}`)).toMatchObject({ used: 7 });
    expect(world.snapshots.get(`acme/${MONTH.key}/${MONTH.window}`)).toMatchObject({ used: 5 });
  });
});

it.each(['record', 'release'] as const)(
  'a %s whose counter is lost again before it counts fails, and may be called again',
  async (kind) => {
    let lost = 0;
    const world = gateOnMemory({}, (store) => ({
      ...store,
      adjust: async (request) => {
        if (lost === 0) return await store.adjust(request);
        lost -= 1;
        return { missing: [0, 1], repeated: false };
      },
    }));
    await world.gate.record({ org: 'acme', key: 'door_opens', amount: 2 });
    lost = 2;
    const report = () => world.gate[kind]({ org: 'acme', key: 'door_opens', idempotencyKey: 'k' });
    await expect(report()).rejects.toMatchObject({ code: 'quota_unavailable' });
    expect(await used(world)).toEqual([2, 2]);
    await report();
    expect(await used(world)).toEqual(kind === 'record' ? [3, 3] : [1, 1]);
  },
);

describe('recorded rows', () => {
  it('take their place at once, until the host’s rows are counted', async () => {
    const { gate, rows } = gateOnMemory();
    rows.set('acme/devices', 1);
    expect(await gate.recountRows('acme', ['devices'])).toEqual(new Map([['devices', 1]]));
    rows.set('acme/devices', 3);
    await gate.record({ org: 'acme', key: 'devices', amount: 2 });
    expect((await gate.reserve(create('devices'))).admitted).toBe(false);
  });

  it('that do not exist refuse nobody', async () => {
    const { gate, rows } = gateOnMemory();
    rows.set('acme/devices', 1);
    await gate.recountRows('acme', ['devices']);
    await gate.record({ org: 'acme', key: 'devices', amount: 50 });
    expect((await gate.reserve(create('devices'))).admitted).toBe(true);
  });

  it('of a key without a count are left to the count', async () => {
    const { gate, rows, counted } = gateOnMemory();
    rows.set('acme/devices', 3);
    await gate.record({ org: 'acme', key: 'devices', amount: 3 });
    expect(counted).toEqual([]);
    expect((await gate.reserve(create('devices'))).admitted).toBe(false);
    expect(counted).toEqual(['acme/devices']);
  });
});

it.each([
  [{ key: 'doors' }, 'unknown_quota_key'],
  [{ org: 'no such org!' }, 'invalid_org_id'],
  [{ amount: 0 }, 'invalid_amount'],
  [{ amount: -1 }, 'invalid_amount'],
  [{ amount: 1.5 }, 'invalid_amount'],
  [{ period: 'week' as const }, 'unknown_period'],
  [{ idempotencyKey: '' }, 'invalid_request'],
])('a record with %j fails, and counts nothing', async (fault, code) => {
  const world = gateOnMemory();
  const recording = world.gate.record({ org: 'acme', key: 'door_opens', ...fault });
  await expect(recording).rejects.toMatchObject({ code });
  expect(await used(world)).toEqual([undefined, undefined]);
});
