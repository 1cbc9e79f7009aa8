import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { CounterStore } from '../ports/counter-store.ts';
import { gateOn, gateOnMemory } from './gate.test-support.ts';
import { settleUnawaited } from './reservation-handle.ts';
import type { Admission, CommitAmount, InTransaction, ReservationHandle } from './types.ts';

const code = (expected: string) => expect.objectContaining({ code: expected });
const one = (key: string, amount?: number) => ({
  org: 'acme',
  charges: [amount === undefined ? { key } : { key, amount }],
});

function held(admission: Admission): ReservationHandle {
  if (!admission.admitted) throw new Error('the create was refused');
  return admission.reservation;
}

describe('reserve', () => {
  it('admits up to the limit and not one more: limit 3, the third passes, the fourth does not', async () => {
    const { gate, rows } = gateOnMemory();
    for (let n = 1; n <= 3; n++) {
      const admission = await gate.reserve(one('devices'));
      expect(admission.quotas).toMatchObject([
        { key: 'devices', remaining: 3 - n, limit: { value: 3, source: { kind: 'default' } } },
      ]);
      await held(admission).commit();
      rows.set('acme/devices', n);
    }
    expect(await gate.reserve(one('devices'))).toMatchObject({
      admitted: false,
      denied: [{ key: 'devices', remaining: 0 }],
    });
  });

  it('Q1: of 200 creates at once, exactly as many as there is room for get in', async () => {
    const { gate } = gateOnMemory();
    const answers = await Promise.all(Array.from({ length: 200 }, () => gate.reserve(one('devices'))));
    expect(answers.filter((answer) => answer.admitted)).toHaveLength(3);
  });

  it('Q9: counts an unknown counter from the host, once for all who wait', async () => {
    const { gate, rows, counted } = gateOnMemory();
    rows.set('acme/devices', 2);
    const answers = await Promise.all(Array.from({ length: 20 }, () => gate.reserve(one('devices'))));
    expect(answers.filter((answer) => answer.admitted)).toHaveLength(1);
    expect(counted).toEqual(['acme/devices']);
  });

  it('Q2: takes all keys or none, and names the key that was full', async () => {
    const { gate, rows, counters } = gateOnMemory();
    rows.set('acme/zones', 2);
    const both = { org: 'acme', charges: [{ key: 'devices' }, { key: 'zones' }] };
    expect(await gate.reserve(both)).toMatchObject({ admitted: false, denied: [{ key: 'zones' }] });
    const [devices] = await counters.read({
      org: 'acme',
      counters: [{ key: 'devices', window: 'lifetime' }],
    });
    expect(devices).toMatchObject({ held: 0, committed: 0 });
  });

  it('limits a key by day and by month at once, and lets the day begin anew', async () => {
    const { gate, clock } = gateOnMemory();
    for (let n = 0; n < 5; n++) await held(await gate.reserve(one('door_opens'))).commit();
    expect(await gate.reserve(one('door_opens'))).toMatchObject({
      admitted: false,
      denied: [{ period: 'day' }],
    });
    clock.at = Date.parse('2026-04-10T00:00:00Z');
    for (let n = 0; n < 3; n++) await held(await gate.reserve(one('door_opens'))).commit();
    expect(await gate.reserve(one('door_opens'))).toMatchObject({
      admitted: false,
      denied: [{ period: 'month' }],
    });
  });

  it('adds up charges of one key', async () => {
    const { gate } = gateOnMemory();
    const twice = {
      org: 'acme',
      charges: [
        { key: 'devices', amount: 2 },
        { key: 'devices', amount: 2 },
      ],
    };
    expect((await gate.reserve(twice)).admitted).toBe(false);
  });

  it('refuses at limit 0 without counting anything of the host beyond the first time', async () => {
    const { gate } = gateOnMemory();
    expect((await gate.reserve(one('entities'))).admitted).toBe(false);
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 53])(
    'T23: does not take the amount %s',
    async (amount) => {
      const { gate } = gateOnMemory();
      await expect(gate.reserve(one('devices', amount))).rejects.toEqual(code('invalid_amount'));
    },
  );

  it.each([
    [2, -1],
    [1, 0],
    [1.5, 1.5],
    [2 ** 53 - 1, 1],
  ])('T23: does not take the amounts %s and %s of one key, whatever their sum', async (...amounts) => {
    const { gate } = gateOnMemory();
    const charges = amounts.map((amount) => ({ key: 'devices', amount }));
    await expect(gate.reserve({ ...one('devices'), charges })).rejects.toEqual(code('invalid_amount'));
  });

  it.each(['', 'a/b', 'a}b', '__proto__ ', 'x'.repeat(65)])(
    'T15: does not take the org id %j',
    async (org) => {
      const { gate, counted } = gateOnMemory();
      await expect(gate.reserve({ ...one('devices'), org })).rejects.toEqual(code('invalid_org_id'));
      expect(counted).toEqual([]);
    },
  );

  it('knows no key but those of the registry', async () => {
    const { gate } = gateOnMemory();
    await expect(gate.reserve(one('__proto__'))).rejects.toEqual(code('unknown_quota_key'));
  });

  it.each([undefined, '', 'a/b', 'a b', 'x'.repeat(65)])(
    'asks a per-session key for its session, and takes none that is none: %j',
    async (session) => {
      const { gate } = gateOnMemory();
      const charge = { key: 'video_session_duration_seconds', ...(session === undefined ? {} : { session }) };
      await expect(gate.reserve({ org: 'acme', charges: [charge] })).rejects.toEqual(code('invalid_request'));
    },
  );

  it('takes no charges of one key whose sum is no amount', async () => {
    const { gate } = gateOnMemory();
    const charges = [{ key: 'devices', amount: Number.MAX_SAFE_INTEGER }, { key: 'devices' }];
    await expect(gate.reserve({ org: 'acme', charges })).rejects.toEqual(code('invalid_amount'));
  });

  it('tells what is left beside uncertain units, and never less than nothing', async () => {
    const { gate, rows } = gateOnMemory();
    await held(await gate.reserve(one('devices'))).abandon();
    expect(await gate.reserve(one('devices'))).toMatchObject({ admitted: true, quotas: [{ remaining: 1 }] });
    rows.set('acme/zones', 5);
    expect(await gate.reserve(one('zones'))).toMatchObject({ admitted: false, quotas: [{ remaining: 0 }] });
  });

  it.each(['held', 'committed'] as const)(
    'takes no id of its own that somebody made before: %s',
    async (state) => {
      const { gate } = gateOnMemory({}, (store) => ({
        ...store,
        reserve: async () => ({ outcome: 'repeated', state }),
      }));
      await expect(gate.reserve(one('devices'))).rejects.toEqual(code('internal_error'));
    },
  );

  it('holds no more at once than `maxHeldPerOrg`', async () => {
    const { gate } = gateOnMemory({ maxHeldPerOrg: 1 });
    const first = held(await gate.reserve(one('devices')));
    await expect(gate.reserve(one('devices'))).rejects.toMatchObject({
      code: 'too_many_pending',
      retryAfterSeconds: 1,
    });
    await first.release();
    expect((await gate.reserve(one('devices'))).admitted).toBe(true);
  });
});

describe('settling', () => {
  it('Q4: counts the first of commit and release, and says so to the later', async () => {
    const { gate, counters } = gateOnMemory();
    const reservation = held(await gate.reserve(one('devices')));
    expect(await reservation.release()).toBe('released');
    expect(await reservation.commit()).toBe('released');
    const [reading] = await counters.read({
      org: 'acme',
      counters: [{ key: 'devices', window: 'lifetime' }],
    });
    expect(reading).toMatchObject({ committed: 0, held: 0 });
  });

  it('keeps part of a batch and gives the rest back', async () => {
    const { gate, counters } = gateOnMemory();
    const reservation = held(await gate.reserve(one('devices', 3)));
    for (const wrong of [4, -1, 1.5, '2', null, true, { devcies: 1 }, { devices: 1, zones: 0 }, [1]])
      expect(() => reservation.commit(wrong as number)).toThrow(
        expect.objectContaining({ code: 'invalid_amount' }),
      );
    await reservation.commit(2);
    const [reading] = await counters.read({
      org: 'acme',
      counters: [{ key: 'devices', window: 'lifetime' }],
    });
    expect(reading).toMatchObject({ committed: 2, held: 0 });
  });

  it.each<[CommitAmount, number, number]>([
    [0, 0, 0],
    [2, 2, 2],
    [{ devices: 1 }, 1, 2],
    [{}, 2, 2],
  ])('keeps of each key what is said, and all of those left out: %j', async (amount, devices, zones) => {
    const { gate, counters } = gateOnMemory();
    const charges = ['devices', 'zones'].map((key) => ({ key, amount: 2 }));
    await held(await gate.reserve({ org: 'acme', charges })).commit(amount);
    const refs = charges.map(({ key }) => ({ key, window: 'lifetime' }));
    expect(await counters.read({ org: 'acme', counters: refs })).toMatchObject([
      { committed: devices, held: 0 },
      { committed: zones, held: 0 },
    ]);
  });

  it('within a transaction says what is kept, and is remembered where its record was given away', async () => {
    const told: object[] = [];
    const transactions = { commitWithin: async (request: object) => void told.push(request) };
    const { gate } = gateOnMemory({ idempotencyMs: 77 }, (store) => ({ ...store, transactions }));
    const reservation = held(await gate.reserve(one('devices', 3)));
    const transaction = {};
    await reservation.commit({ transaction, amount: 2 });
    reservation.toJSON();
    await reservation.commit({ transaction });
    const { id } = reservation;
    expect(told).toMatchObject([
      { id, transaction, amounts: [2], rememberMs: 0 },
      { id, transaction, rememberMs: 77 },
    ]);
  });

  it('tells of units that were committed above their limit, late', async () => {
    const { gate, clock, wiring } = gateOnMemory();
    const count = vi.spyOn(wiring.telemetry, 'count');
    const late = held(await gate.reserve(one('devices', 3)));
    clock.at += 1_000;
    await held(await gate.reserve(one('devices', 3))).commit();
    expect(count).not.toHaveBeenCalledWith('tollgate.committed_over_limit', 1);
    const warn = vi.spyOn(wiring.logger, 'warn');
    await late.commit();
    expect(count).toHaveBeenCalledWith('tollgate.committed_over_limit', 1);
    expect(warn.mock.calls).toMatchObject([[expect.any(String), { org: 'acme', keys: 'devices' }]]);
  });

  it('T24: frees what a failed create took only when the host counts no row of it', async () => {
    const { gate, rows } = gateOnMemory();
    const [first, second, third] = [
      await gate.reserve(one('devices')),
      await gate.reserve(one('devices')),
      await gate.reserve(one('devices')),
    ];
    // The first wrote its row and failed; the second failed before it wrote; the third succeeded.
    rows.set('acme/devices', 2);
    await held(first).abandon();
    await held(second).abandon();
    await held(third).commit();
    const fourth = await gate.reserve(one('devices'));
    expect(fourth.admitted).toBe(true);
    await held(fourth).commit();
    rows.set('acme/devices', 3);
    expect((await gate.reserve(one('devices'))).admitted).toBe(false);
  });

  it('gives metered units of a failed event back, or charges them and writes them behind, as the guard says', async () => {
    const { gate, counters, snapshots } = gateOnMemory();
    await held(await gate.reserve({ ...one('door_opens'), onFailure: 'release' })).abandon();
    await held(await gate.reserve({ ...one('door_opens'), onFailure: 'charge' })).abandon();
    const [reading] = await counters.read({
      org: 'acme',
      counters: [{ key: 'door_opens', window: 'day:2026-04-09' }],
    });
    expect(reading).toMatchObject({ committed: 1, held: 0 });
    await gate.close();
    expect(snapshots.get('acme/door_opens/day:2026-04-09')).toMatchObject({ used: 1 });
  });

  it('run commits what resolves and leaves uncertain what throws', async () => {
    const { gate, counters } = gateOnMemory();
    const made = await held(await gate.reserve(one('devices'))).run(() => 'd1');
    await expect(
      held(await gate.reserve(one('devices'))).run(() => {
        throw new Error('boom');
      }),
    ).rejects.toThrow('boom');
    expect(made).toBe('d1');
    const [reading] = await counters.read({
      org: 'acme',
      counters: [{ key: 'devices', window: 'lifetime' }],
    });
    expect(reading).toMatchObject({ committed: 1, held: 0, uncertain: 1 });
  });

  it('run answers when it has settled, and what the create did, also where that failed', async () => {
    const settles: (() => void)[] = [];
    const { gate } = gateOnMemory({}, (store) => ({
      ...store,
      settle: () =>
        new Promise((_resolve, reject) => {
          settles.push(() => reject(new TollgateError('quota_unavailable')));
        }),
    }));
    const answered: unknown[] = [];
    const made = held(await gate.reserve(one('devices'))).run(() => 'd1');
    const failing = held(await gate.reserve(one('devices'))).run(() => {
      throw new Error('boom');
    });
    void made.then((answer) => answered.push(answer));
    void failing.catch((error: Error) => answered.push(error.message));
    await new Promise((resolve) => setImmediate(resolve));
    expect(answered).toEqual([]);
    for (const fail of settles) fail();
    await vi.waitFor(() => expect(answered).toEqual(['d1', 'boom']), { interval: 1 });
    await gate.close();
  });

  it('is waited for when the engine closes, and by who asks how it ended', async () => {
    const settles: (() => void)[] = [];
    const { gate, snapshots } = gateOnMemory({}, (store) => ({
      ...store,
      async settle(request) {
        await new Promise<void>((resolve) => settles.push(resolve));
        if (request.charges[0]?.key === 'devices') throw new TollgateError('quota_unavailable');
        return await store.settle(request);
      },
    }));
    const kept = held(await gate.reserve(one('door_opens')));
    const failed = held(await gate.reserve(one('devices')));
    for (const handle of [kept, failed]) settleUnawaited(handle, 'commit');
    const ends = [kept.commit(), expect(failed.commit()).rejects.toEqual(code('quota_unavailable'))];
    let isClosed = false;
    const closing = gate.close().then(() => {
      isClosed = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isClosed).toBe(false);
    for (const settle of settles) settle();
    await Promise.all([closing, ...ends]);
    expect(await kept.commit()).toBe('committed');
    expect(snapshots.get('acme/door_opens/day:2026-04-09')).toMatchObject({ used: 1 });
  });

  it.each<[string, (handle: ReservationHandle) => unknown]>([
    ['somebody waits for', (handle) => handle.commit()],
    ['nobody waits for', (handle) => settleUnawaited(handle, 'commit')],
  ])('is one settle where a store that asks again hears twice of one that %s', async (_who, commit) => {
    let end = () => {};
    const { gate, counters } = gateOnMemory({}, (store) => ({
      ...store,
      async settle(request) {
        const outcome = await store.settle(request);
        if (request.charges[0]?.key === 'devices') {
          await new Promise<void>((resolve) => {
            end = resolve;
          });
          return outcome;
        }
        // The first try, which had failed, was done after all; the second finds nothing any more.
        request.onLateAnswer?.(outcome);
        return { outcome: 'gone' };
      },
    }));
    const other = held(await gate.reserve(one('devices')));
    const twice = held(await gate.reserve(one('door_opens')));
    settleUnawaited(other, 'commit');
    await commit(twice);
    expect(await twice.commit()).toBe('committed');
    await new Promise((resolve) => setImmediate(resolve));
    let isClosed = false;
    const closing = gate.close().then(() => {
      isClosed = true;
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(isClosed).toBe(false);
    end();
    await closing;
    const opens = { key: 'door_opens', window: 'day:2026-04-09' };
    expect(await counters.read({ org: 'acme', counters: [opens] })).toMatchObject([{ committed: 1 }]);
  });

  it.each(['fails, and is answered late', 'is answered late, and fails then'])(
    'is one settle where it %s: another one is waited for all the same',
    async (how) => {
      let end = () => {};
      let answerLate = () => {};
      const { gate } = gateOnMemory({}, (store) => ({
        ...store,
        async settle(request) {
          if (request.charges[0]?.key === 'devices') {
            await new Promise<void>((resolve) => {
              end = resolve;
            });
            return await store.settle(request);
          }
          answerLate = () => request.onLateAnswer?.({ outcome: 'settled', late: false, overLimit: false });
          if (how === 'is answered late, and fails then') answerLate();
          throw new TollgateError('quota_unavailable');
        },
      }));
      settleUnawaited(held(await gate.reserve(one('devices'))), 'commit');
      await held(await gate.reserve(one('door_opens')))
        .commit()
        .catch(() => undefined);
      answerLate();
      await new Promise((resolve) => setImmediate(resolve));
      let isClosed = false;
      const closing = gate.close().then(() => {
        isClosed = true;
      });
      for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
      expect(isClosed).toBe(false);
      end();
      await closing;
    },
  );

  it('is waited for by a close that was begun after another one, too', async () => {
    const settles: (() => void)[] = [];
    const { gate } = gateOnMemory({}, (store) => ({
      ...store,
      async settle(request) {
        await new Promise<void>((resolve) => settles.push(resolve));
        return await store.settle(request);
      },
    }));
    let isClosed = false;
    const closings: Promise<void>[] = [];
    for (const key of ['devices', 'door_opens']) {
      settleUnawaited(held(await gate.reserve(one(key))), 'commit');
      closings.push(gate.close());
    }
    void closings[1]?.then(() => {
      isClosed = true;
    });
    settles[1]?.();
    for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    expect(isClosed).toBe(false);
    settles[0]?.();
    await Promise.all(closings);
  });

  it('fails no differently, and is waited for no longer, where a store throws in place of answering a promise', async () => {
    const { gate } = gateOnMemory({}, (store) => ({
      ...store,
      settle() {
        throw new TollgateError('quota_unavailable');
      },
    }));
    const unawaited = held(await gate.reserve(one('devices')));
    settleUnawaited(unawaited, 'commit');
    for (const handle of [unawaited, held(await gate.reserve(one('devices')))])
      await expect(handle.commit()).rejects.toEqual(code('quota_unavailable'));
    await gate.close();
  });

  it('cannot be part of a transaction of the host where the store is not in its database', async () => {
    const { gate } = gateOnMemory();
    const reservation = held(await gate.reserve(one('devices')));
    await expect(reservation.commit({ transaction: {} })).rejects.toEqual(code('invalid_configuration'));
    expect(await reservation.commit()).toBe('committed');
  });

  it('takes no part of a batch in a transaction for one under a misspelt name, which would keep all of it', async () => {
    const { gate } = gateOnMemory();
    const reservation = held(await gate.reserve(one('devices', 3)));
    const committing = reservation.commit({ transaction: {}, amuont: 1 } as InTransaction);
    await expect(committing).rejects.toMatchObject({
      code: 'invalid_configuration',
      message: expect.stringContaining('amuont'),
    });
  });

  it.each([undefined, null])('is not done outside a transaction for one that is %s', async (transaction) => {
    const { gate, counters } = gateOnMemory();
    const reservation = held(await gate.reserve(one('devices')));
    const committing = reservation.commit({ transaction: transaction as unknown as object });
    await expect(committing).rejects.toMatchObject({
      code: 'invalid_configuration',
      message: expect.stringContaining('no transaction'),
    });
    const [reading] = await counters.read({
      org: 'acme',
      counters: [{ key: 'devices', window: 'lifetime' }],
    });
    expect(reading).toMatchObject({ committed: 0, held: 1 });
  });

  it("Q5: makes a dead owner's units usable when its lease is over, and not before", async () => {
    const { gate, clock } = gateOnMemory();
    await gate.reserve(one('devices', 3));
    clock.at += 999;
    expect((await gate.reserve(one('devices'))).admitted).toBe(false);
    clock.at += 1;
    expect((await gate.reserve(one('devices', 3))).admitted).toBe(true);
  });
});

describe('idempotency keys', () => {
  const keyed = { ...one('devices'), idempotencyKey: 'create-1' };

  it('Q3: take one unit however often they are used', async () => {
    const { gate, counters, clock } = gateOnMemory();
    await held(await gate.reserve(keyed)).commit();
    const again = await gate.reserve(keyed);
    expect(again).toMatchObject({ admitted: true, repeated: true });
    await held(again).release();
    clock.at += 86_399_999;
    expect(await gate.reserve(keyed)).toMatchObject({ admitted: true, repeated: true });
    const [reading] = await counters.read({
      org: 'acme',
      counters: [{ key: 'devices', window: 'lifetime' }],
    });
    expect(reading).toMatchObject({ committed: 1, held: 0 });
    clock.at += 1;
    expect(await gate.reserve(keyed)).toMatchObject({ admitted: true, repeated: false });
  });

  it('are apart for each set of quota keys, in whatever order they stand', async () => {
    const { gate } = gateOnMemory();
    const asked = (...keys: string[]) =>
      gate.reserve({ org: 'acme', charges: keys.map((key) => ({ key })), idempotencyKey: 'k'.repeat(255) });
    await held(await asked('devices')).commit();
    await held(await asked('devices', 'zones')).commit();
    expect(await asked('devices', 'zones')).toMatchObject({ repeated: true });
    await expect(asked('zones', 'devices')).rejects.toEqual(code('reservation_conflict'));
  });

  it('of a repeat tell of no room that is not there', async () => {
    const { gate, rows } = gateOnMemory();
    rows.set('acme/devices', 2);
    await held(await gate.reserve(keyed)).commit();
    expect(await gate.reserve(keyed)).toMatchObject({ repeated: true, quotas: [] });
  });

  it('answer request_in_progress while the first is running', async () => {
    const { gate } = gateOnMemory();
    await gate.reserve(keyed);
    await expect(gate.reserve(keyed)).rejects.toEqual(code('request_in_progress'));
  });

  it('may be tried again after the create failed for certain', async () => {
    const { gate } = gateOnMemory();
    await held(await gate.reserve(keyed)).release();
    await held(await gate.reserve(keyed)).commit();
    expect(await gate.reserve(keyed)).toMatchObject({ repeated: true });
  });

  it('are used up by 16 creates that were not kept', async () => {
    const { gate } = gateOnMemory();
    for (let create = 1; create <= 16; create++) await held(await gate.reserve(keyed)).release();
    await expect(gate.reserve(keyed)).rejects.toEqual(code('reservation_conflict'));
  });

  it('refuse other parameters as reservation_conflict', async () => {
    const { gate } = gateOnMemory();
    await held(await gate.reserve(keyed)).commit();
    await expect(gate.reserve({ ...keyed, charges: [{ key: 'devices', amount: 2 }] })).rejects.toEqual(
      code('reservation_conflict'),
    );
  });
});

describe('a refusal', () => {
  it('is checked against the truth: a host that never reports deletes is slow at its limit, not wrong', async () => {
    const { gate, rows, clock, counted } = gateOnMemory();
    rows.set('acme/devices', 3);
    expect((await gate.reserve(one('devices'))).admitted).toBe(false);
    rows.set('acme/devices', 1);
    clock.at += 5_000;
    expect((await gate.reserve(one('devices'))).admitted, 'the count is 5 s old and may still refuse').toBe(
      false,
    );
    clock.at += 5_000;
    expect((await gate.reserve(one('devices'))).admitted, 'at 10 s as well').toBe(false);
    clock.at += 1;
    expect((await gate.reserve(one('devices', 4))).admitted, 'more than the limit').toBe(false);
    expect(counted).toHaveLength(1);
    expect((await gate.reserve(one('devices'))).admitted).toBe(true);
    expect(counted).toHaveLength(2);
  });

  it('costs the host no more than one count in ten seconds, however hard a full org tries', async () => {
    const { gate, rows, counted } = gateOnMemory();
    rows.set('acme/devices', 3);
    for (let n = 0; n < 100; n++) await gate.reserve(one('devices'));
    expect(counted).toHaveLength(1);
  });

  it('costs a create one count at most where no count is young enough', async () => {
    const { gate, rows, clock, counted } = gateOnMemory({ refusalCountMaxAgeMs: 0 });
    clock.now = () => clock.at++;
    rows.set('acme/devices', 3);
    await gate.reserve(one('devices'));
    counted.length = 0;
    expect((await gate.reserve(one('devices'))).admitted).toBe(false);
    expect(counted).toHaveLength(1);
  });

  it('follows deletes of several keys under one idempotency key, and asks for no count before it is needed', async () => {
    const { gate, rows, counted } = gateOnMemory();
    const keys = ['devices', 'zones'];
    await gate.release({ org: 'acme', key: 'devices' });
    expect(counted).toEqual([]);
    for (const key of keys) rows.set(`acme/${key}`, 3);
    for (const key of keys) expect((await gate.reserve(one(key))).admitted).toBe(false);
    for (const key of keys) rows.set(`acme/${key}`, 1);
    for (const key of keys) await gate.release({ org: 'acme', key, idempotencyKey: 'k', amount: 2 });
    for (const key of keys) expect((await gate.reserve(one(key))).admitted).toBe(true);
  });

  it('is followed by an admission as soon as a delete is reported', async () => {
    const { gate, rows } = gateOnMemory();
    rows.set('acme/devices', 3);
    expect((await gate.reserve(one('devices'))).admitted).toBe(false);
    rows.set('acme/devices', 2);
    await gate.release({ org: 'acme', key: 'devices' });
    expect((await gate.reserve(one('devices'))).admitted).toBe(true);
    expect((await gate.reserve(one('devices'))).admitted).toBe(false);
  });

  it('is not undone by deletes that never happened', async () => {
    const { gate, rows } = gateOnMemory();
    rows.set('acme/devices', 3);
    for (let n = 0; n < 5; n++) {
      await gate.release({ org: 'acme', key: 'devices' });
      expect((await gate.reserve(one('devices'))).admitted).toBe(false);
    }
  });

  it('becomes quota_unavailable when the truth cannot be asked (Q13)', async () => {
    const { gate, rows, clock, host } = gateOnMemory();
    rows.set('acme/devices', 3);
    await gate.reserve(one('devices'));
    clock.at += 11_000;
    host.isDown = true;
    await expect(gate.reserve(one('devices'))).rejects.toEqual(code('quota_unavailable'));
  });
});

describe('with the store away', () => {
  function gateThatBreaks() {
    const store = { isDown: false };
    const wrap = (inner: CounterStore) =>
      new Proxy(inner, {
        get(target, name, receiver) {
          const value = Reflect.get(target, name, receiver);
          if (typeof value !== 'function' || name === 'close') return value;
          return (...args: unknown[]) => {
            if (store.isDown)
              return Promise.reject(new TollgateError('quota_unavailable', { retryAfterSeconds: 1 }));
            return value.apply(target, args);
          };
        },
      });
    return { ...gateOnMemory({}, wrap), store };
  }

  it('closed refuses to decide', async () => {
    const { gate, store } = gateThatBreaks();
    store.isDown = true;
    await expect(gate.reserve(one('devices'))).rejects.toEqual(code('quota_unavailable'));
  });

  it.each([[[1.5]], [[0]], [[Number.MAX_SAFE_INTEGER, 1]]])(
    'lets nothing through for amounts that are none, which would be owed: %j (T23)',
    async (amounts) => {
      const { gate, store } = gateThatBreaks();
      store.isDown = true;
      const charges = amounts.map((amount) => ({ key: 'devices', amount }));
      const reserving = gate.reserve({ org: 'acme', charges, onStoreError: 'open' });
      await expect(reserving).rejects.toEqual(code('invalid_amount'));
    },
  );

  it('recount has what it decided watched, for the thresholds of use', async () => {
    const { wiring, store, rows } = gateThatBreaks();
    const observe = vi.fn();
    const gate = gateOn(wiring, observe);
    store.isDown = true;
    rows.set('acme/devices', 1);
    await gate.reserve({ ...one('devices'), onStoreError: 'recount' });
    expect(observe.mock.calls).toMatchObject([['acme', [{ key: 'devices', remaining: 1 }]]]);
  });

  it('recount tells who asked for too much what is left', async () => {
    const { gate, store, rows } = gateThatBreaks();
    store.isDown = true;
    rows.set('acme/devices', 1);
    const asked = { ...one('devices', 3), onStoreError: 'recount' } as const;
    expect(await gate.reserve(asked)).toMatchObject({ admitted: false, denied: [{ remaining: 2 }] });
  });

  it('decides on a create with an idempotency key as on any other', async () => {
    const { gate, store } = gateThatBreaks();
    store.isDown = true;
    const keyed = { ...one('devices'), idempotencyKey: 'create-1' };
    expect(await gate.reserve({ ...keyed, onStoreError: 'open' })).toMatchObject({ decidedBy: 'open' });
    await expect(gate.reserve(keyed)).rejects.toEqual(code('quota_unavailable'));
  });

  it('open lets through, and counts what was created when the store is back', async () => {
    const { gate, store, rows, counters } = gateThatBreaks();
    await held(await gate.reserve(one('door_opens'))).commit();
    store.isDown = true;
    for (let n = 1; n <= 2; n++) {
      const admission = await gate.reserve({ ...one('door_opens'), onStoreError: 'open' });
      expect(admission).toMatchObject({ admitted: true, decidedBy: 'open' });
      await held(admission).commit();
    }
    const device = await gate.reserve({ ...one('devices'), onStoreError: 'open' });
    rows.set('acme/devices', 1);
    await held(device).commit();
    store.isDown = false;
    await gate.reserve(one('zones'));
    await gate.close();
    const [day] = await counters.read({
      org: 'acme',
      counters: [{ key: 'door_opens', window: 'day:2026-04-09' }],
    });
    expect(day).toMatchObject({ committed: 3 });
    expect((await gate.reserve(one('devices', 3))).admitted).toBe(false);
    expect((await gate.reserve(one('devices', 2))).admitted).toBe(true);
  });

  it('recount decides on the rows of the host, exactly within the process', async () => {
    const { gate, store, rows } = gateThatBreaks();
    store.isDown = true;
    rows.set('acme/devices', 1);
    const asked = { ...one('devices'), onStoreError: 'recount' } as const;
    const answers = await Promise.all(Array.from({ length: 20 }, () => gate.reserve(asked)));
    const admitted = answers.filter((answer) => answer.admitted);
    expect(admitted).toHaveLength(2);
    expect(admitted[0]).toMatchObject({ decidedBy: 'recount' });
    for (const answer of admitted) {
      rows.set('acme/devices', (rows.get('acme/devices') ?? 0) + 1);
      await held(answer).commit();
      expect((await gate.reserve(asked)).admitted).toBe(false);
    }
    rows.set('acme/devices', 2);
    expect((await gate.reserve(asked)).admitted).toBe(true);
  });

  it.each([[['door_opens']], [['devices', 'door_opens']]])(
    'recount has no truth for metered keys and refuses to decide them: %j',
    async (keys) => {
      const { gate, store } = gateThatBreaks();
      store.isDown = true;
      const charges = keys.map((key) => ({ key }));
      await expect(gate.reserve({ org: 'acme', charges, onStoreError: 'recount' })).rejects.toEqual(
        code('quota_unavailable'),
      );
    },
  );

  it.each(['closed', 'recount'] as const)(
    '%s decides nothing while the limits cannot be read',
    async (onStoreError) => {
      const { gate, wiring } = gateOnMemory();
      const warn = vi.spyOn(wiring.logger, 'warn');
      wiring.repository.loadOrg = () =>
        Promise.reject(new TollgateError('repository_unavailable', { retryAfterSeconds: 7 }));
      await expect(gate.reserve({ ...one('devices'), onStoreError })).rejects.toMatchObject({
        code: 'quota_unavailable',
        retryAfterSeconds: 7,
      });
      expect(warn.mock.calls).toMatchObject([
        [expect.not.stringContaining('counter store'), { org: 'acme', code: 'repository_unavailable' }],
      ]);
    },
  );

  it('open lets through what cannot be decided because the truth cannot be asked', async () => {
    const { gate, host, wiring } = gateOnMemory();
    host.isDown = true;
    wiring.repository.loadUsage = () => Promise.reject(new Error('away'));
    for (const key of ['devices', 'door_opens']) {
      expect(await gate.reserve({ ...one(key), onStoreError: 'open' })).toMatchObject({ decidedBy: 'open' });
    }
  });
});

describe('metered use', () => {
  it('is forgotten by the store two days after its window, and no earlier', async () => {
    const { gate, counters, clock } = gateOnMemory();
    await held(await gate.reserve(one('door_opens'))).commit();
    const day = { org: 'acme', counters: [{ key: 'door_opens', window: 'day:2026-04-09' }] };
    clock.at = Date.parse('2026-04-12T00:00:00Z') - 1;
    expect(await counters.read(day)).toMatchObject([{ committed: 1 }]);
    clock.at += 1;
    expect(await counters.read(day)).toEqual([null]);
  });

  it('is given back once under one idempotency key, also where the store had lost its count (Q3)', async () => {
    const { gate, counters, snapshots } = gateOnMemory();
    const opens = { key: 'door_opens', window: 'day:2026-04-09' };
    snapshots.set(`acme/${opens.key}/${opens.window}`, { org: 'acme', ...opens, used: 3, endsAt: null });
    for (let told = 0; told < 2; told++)
      await gate.release({ org: 'acme', key: 'door_opens', idempotencyKey: 'r1' });
    expect(await counters.read({ org: 'acme', counters: [opens] })).toMatchObject([{ committed: 2 }]);
  });

  it('survives the loss of the counters, from the snapshot', async () => {
    const { gate, snapshots } = gateOnMemory();
    for (let n = 0; n < 4; n++) await held(await gate.reserve(one('door_opens'))).commit();
    await gate.close();
    const after = gateOnMemory();
    for (const [name, snapshot] of snapshots) after.snapshots.set(name, snapshot);
    expect((await after.gate.reserve(one('door_opens'))).admitted).toBe(true);
    expect((await after.gate.reserve(one('door_opens'))).admitted).toBe(false);
  });

  it.each([
    [1, 1, 1],
    [5, 60, 1],
    [60, 1, 2],
  ])('of other orgs is written behind while %i cannot be read', async (unreadable, readable, writes) => {
    const store = { isWhole: false };
    const { gate, snapshots } = gateOnMemory({}, (inner) => ({
      ...inner,
      read: (request) =>
        store.isWhole || request.org.startsWith('acme')
          ? inner.read(request)
          : Promise.reject(new TollgateError('quota_unavailable', { retryAfterSeconds: 1 })),
    }));
    const others = Array.from({ length: unreadable }, (_, n) => `unreadable-${n}`);
    const orgs = Array.from({ length: readable }, (_, n) => `acme-${n}`);
    for (const org of [...others, ...orgs])
      await held(await gate.reserve({ ...one('door_opens'), org })).commit();
    const written = () => new Set([...snapshots.values()].map(({ org }) => org));
    for (let n = 0; n < writes; n++) await gate.close();
    expect(written()).toEqual(new Set(orgs));
    store.isWhole = true;
    await gate.close();
    expect(written()).toEqual(new Set([...orgs, ...others]));
  });

  /** So many orgs with metered use that was not written behind yet. */
  async function manyOrgs(count: number, wrap?: (store: CounterStore) => CounterStore) {
    const made = gateOnMemory({}, wrap);
    const orgs = Array.from({ length: count }, (_, n) => `org-${n}`);
    await Promise.all(
      orgs.map(async (org) => held(await made.gate.reserve({ ...one('door_opens'), org })).commit()),
    );
    const saves = vi.spyOn(made.wiring.repository, 'saveUsage');
    return {
      ...made,
      saves,
      written: () => new Set([...made.snapshots.values()].map(({ org }) => org)).size,
    };
  }

  it('of many orgs is read side by side, and stored in steps of a bounded size', async () => {
    let reading = 0;
    let most = 0;
    const { gate, saves, written } = await manyOrgs(501, (inner) => ({
      ...inner,
      async read(request) {
        reading += 1;
        most = Math.max(most, reading);
        await new Promise((resolve) => setImmediate(resolve));
        reading -= 1;
        return await inner.read(request);
      },
    }));
    await gate.close();
    expect(written()).toBe(501);
    expect(Math.max(...saves.mock.calls.map(([saved]) => saved.length))).toBeLessThanOrEqual(100);
    expect(most).toBe(50);
  });

  it('is written behind with what was charged while its last snapshot was put in, until some time after its window is over', async () => {
    const { gate, snapshots } = gateOnMemory({}, (inner) => ({
      ...inner,
      read: async (request) =>
        (await inner.read(request)).map((reading) => reading && { ...reading, uncertain: 2 }),
    }));
    await held(await gate.reserve(one('door_opens'))).commit();
    await gate.close();
    const written = snapshots.get('acme/door_opens/day:2026-04-09');
    expect(written?.used).toBe(3);
    expect(written?.endsAt).toBeGreaterThan(Date.parse('2026-04-10'));
  });

  it('is written once at a time, however slow the repository is', async () => {
    const { gate, wiring } = gateOnMemory();
    const ends: (() => void)[] = [];
    const saves = vi
      .spyOn(wiring.repository, 'saveUsage')
      .mockImplementation(() => new Promise((resolve) => void ends.push(resolve)));
    const closings: Promise<void>[] = [];
    for (let n = 0; n < 2; n++) {
      await held(await gate.reserve(one('door_opens'))).commit();
      closings.push(gate.close());
      for (let turn = 0; turn < 20; turn += 1) await new Promise((resolve) => setImmediate(resolve));
    }
    expect(saves).toHaveBeenCalledOnce();
    ends[0]?.();
    await vi.waitFor(() => expect(saves).toHaveBeenCalledTimes(2), { interval: 1 });
    ends[1]?.();
    await Promise.all(closings);
  });

  it('of many orgs is not asked for one after the other while none can be read', async () => {
    let [asked, isAway] = [0, true];
    const { gate, written } = await manyOrgs(201, (inner) => ({
      ...inner,
      async read(request) {
        asked += 1;
        if (isAway) throw new TollgateError('quota_unavailable', { retryAfterSeconds: 1 });
        return await inner.read(request);
      },
    }));
    await gate.close();
    expect(asked).toBe(50);
    isAway = false;
    await gate.close();
    expect(written()).toBe(201);
  });

  it('that was stored before a step failed stays stored, and the next time the others go first', async () => {
    const { gate, saves, snapshots, written } = await manyOrgs(201);
    saves.mockImplementation(async (saved) => {
      if (saved.some(({ org }) => org === 'org-60')) throw new TollgateError('repository_unavailable');
      for (const one of saved) snapshots.set(`${one.org}/${one.key}/${one.window}`, one);
    });
    await gate.close();
    expect(written()).toBe(50);
    await gate.close();
    expect(written()).toBe(150);
    saves.mockRestore();
    await gate.close();
    expect(written()).toBe(201);
  });

  it('of one org with thousands of sessions is read and stored in steps of a bounded size too', async () => {
    const key = 'video_session_duration_seconds';
    const { gate, wiring, snapshots } = gateOnMemory({}, (inner) => ({
      ...inner,
      async read(request) {
        reading += request.counters.length;
        most = Math.max(most, reading);
        await new Promise((resolve) => setImmediate(resolve));
        reading -= request.counters.length;
        return await inner.read(request);
      },
    }));
    let reading = 0;
    let most = 0;
    const override = { id: 'o', subjectType: 'org', subjectId: 'acme', key, period: null, limit: null };
    const written = { expiresAt: null, reason: null, createdBy: 'ada', createdAt: 0, updatedAt: 0 };
    wiring.repository.loadOrg = async () => ({
      customers: [],
      subscriptions: [],
      overrides: [{ ...override, ...written }],
    });
    for (let n = 0; n < 3_000; n++)
      await held(await gate.reserve({ org: 'acme', charges: [{ key, session: `s${n}` }] })).commit();
    const saves = vi.spyOn(wiring.repository, 'saveUsage');
    await gate.close();
    expect(snapshots.size).toBe(3_000);
    expect(most).toBeLessThanOrEqual(1_000);
    expect(Math.max(...saves.mock.calls.map(([saved]) => saved.length))).toBeLessThanOrEqual(1_000);
  });

  it('is written behind again and again, each window of it and no rows', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { gate, clock, snapshots } = gateOnMemory({ snapshotEveryMs: 2_000 });
    const used = () => [...snapshots.values()].map((one) => `${one.window} ${one.used}`).sort();
    const passes = async (...written: string[]) => {
      vi.advanceTimersByTime(2_000);
      for (let turn = 0; turn < 9; turn++) await new Promise((resolve) => setImmediate(resolve));
      expect(used()).toEqual(written);
    };
    await held(await gate.reserve(one('devices'))).commit();
    await held(await gate.reserve(one('door_opens'))).commit();
    expect(used()).toEqual([]);
    await passes('day:2026-04-09 1', 'month:2026-04 1');
    await held(await gate.reserve(one('door_opens'))).commit();
    clock.at += 86_400_000;
    await held(await gate.reserve(one('door_opens'))).commit();
    await passes('day:2026-04-09 2', 'day:2026-04-10 1', 'month:2026-04 3');
  });

  it('of windows that have been over for 45 days is dropped, looked after at once and then once an hour, until none is left', async () => {
    const { gate, clock, wiring } = gateOnMemory();
    const purge = vi.spyOn(wiring.repository, 'purgeUsage');
    const write = async () => {
      await held(await gate.reserve(one('door_opens'))).commit();
      await gate.close();
    };
    await write();
    expect(purge.mock.calls).toEqual([[{ before: clock.at - 45 * 86_400_000 }]]);
    purge.mockClear();
    clock.at += 3_599_999;
    await write();
    expect(purge).not.toHaveBeenCalled();
    clock.at += 1;
    purge.mockResolvedValueOnce(10_000).mockResolvedValueOnce(1);
    await write();
    await write();
    expect(purge.mock.calls).toEqual(Array(3).fill([{ before: clock.at - 45 * 86_400_000 }]));
    purge.mockClear().mockResolvedValue(1);
    clock.at += 3_600_000;
    await write();
    expect(purge, 'of a repository that never says that none is left').toHaveBeenCalledTimes(10);
  });

  it('that the store lost is given back from the last snapshot, and written behind', async () => {
    const { gate, counters, snapshots } = gateOnMemory();
    for (const window of ['day:2026-04-09', 'month:2026-04'])
      snapshots.set(`acme/door_opens/${window}`, {
        org: 'acme',
        key: 'door_opens',
        window,
        used: 4,
        endsAt: null,
      });
    const give = async () => {
      await gate.release({ org: 'acme', key: 'door_opens' });
      await gate.close();
      return snapshots.get('acme/door_opens/day:2026-04-09')?.used;
    };
    expect([await give(), await give()]).toEqual([3, 2]);
    const [day] = await counters.read({
      org: 'acme',
      counters: [{ key: 'door_opens', window: 'day:2026-04-09' }],
    });
    expect(day).toMatchObject({ committed: 2 });
  });

  it('is given back no further than to 0', async () => {
    const { gate, counters } = gateOnMemory();
    await held(await gate.reserve(one('door_opens', 2))).commit();
    await gate.release({ org: 'acme', key: 'door_opens', amount: 5 });
    const [day] = await counters.read({
      org: 'acme',
      counters: [{ key: 'door_opens', window: 'day:2026-04-09' }],
    });
    expect(day).toMatchObject({ committed: 0 });
  });

  it('is given back once for one idempotency key', async () => {
    const { gate, counters, clock } = gateOnMemory();
    await held(await gate.reserve(one('door_opens', 4))).commit();
    for (let n = 0; n < 3; n++) {
      await gate.release({ org: 'acme', key: 'door_opens', idempotencyKey: 'refund-1' });
      clock.at += 3_600_000;
    }
    const [day] = await counters.read({
      org: 'acme',
      counters: [{ key: 'door_opens', window: 'day:2026-04-09' }],
    });
    expect(day).toMatchObject({ committed: 3 });
  });
});

describe('the usage report', () => {
  it('has one item a key and period with its limit, source and window', async () => {
    const { gate, rows } = gateOnMemory();
    rows.set('acme/devices', 2);
    await held(await gate.reserve(one('door_opens'))).commit();
    const { items, tier } = await gate.usage.report('acme');
    expect(tier).toBe('free');
    expect(items.filter((item) => item.key === 'door_opens')).toMatchObject([
      { period: 'day', current: 1, limit: { value: 5 }, window: { label: 'day:2026-04-09' } },
      { period: 'month', current: 1, limit: { value: 8 }, window: { label: 'month:2026-04' } },
    ]);
    expect(items.find((item) => item.key === 'devices')).toMatchObject({
      current: 2,
      limit: { value: 3, source: { kind: 'default' } },
    });
    expect(items.find((item) => item.key === 'api_keys')).toMatchObject({ limit: { value: null } });
  });

  it('shows rows, not what is only reserved', async () => {
    const { gate } = gateOnMemory();
    await gate.reserve(one('devices'));
    const { items } = await gate.usage.report('acme');
    expect(items.find((item) => item.key === 'devices')).toMatchObject({ current: 0 });
  });

  it('counts anew what was counted more than ten seconds ago', async () => {
    const { gate, rows, clock } = gateOnMemory();
    const devices = async () =>
      (await gate.usage.report('acme')).items.find((item) => item.key === 'devices')?.current;
    rows.set('acme/devices', 3);
    await devices();
    rows.set('acme/devices', 1);
    clock.at += 10_000;
    expect(await devices()).toBe(3);
    clock.at += 1;
    expect(await devices()).toBe(1);
  });

  it('counts anew what is uncertain', async () => {
    const { gate, rows } = gateOnMemory();
    rows.set('acme/devices', 3);
    await gate.usage.report('acme');
    rows.set('acme/devices', 1);
    await gate.release({ org: 'acme', key: 'devices' });
    const { items } = await gate.usage.report('acme');
    expect(items.find((item) => item.key === 'devices')).toMatchObject({ current: 1 });
  });
});

describe('a session that is asked after', () => {
  const secondsIn = async (gate: ReturnType<typeof gateOnMemory>['gate'], session: string) =>
    (await gate.usage.report('acme', { session })).items.find(({ period }) => period === 'per_session')
      ?.current;

  it('T17: leaves nothing in the store when nobody knows it', async () => {
    const { gate, counters } = gateOnMemory();
    const windows = Array.from({ length: 20 }, (_, n) => `session:made-up-${n}`);
    for (const window of windows) expect(await secondsIn(gate, window.slice(8))).toBe(0);
    const key = 'video_session_duration_seconds';
    const stored = await counters.read({
      org: 'acme',
      counters: windows.map((window) => ({ key, window })),
    });
    expect(stored).toEqual(windows.map(() => null));
  });

  it('Q9: is told as last written down when the store lost it', async () => {
    const { gate, snapshots } = gateOnMemory();
    const window = 'session:call-1';
    const key = 'video_session_duration_seconds';
    snapshots.set(`acme/${key}/${window}`, { org: 'acme', key, window, used: 42, endsAt: null });
    expect(await secondsIn(gate, 'call-1')).toBe(42);
  });
});

describe('an inventory', () => {
  it('that has answered is waited for no longer', async () => {
    vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout'] });
    onTestFinished(() => void vi.useRealTimers());
    const { gate } = gateOnMemory();
    await gate.reserve(one('devices'));
    expect(vi.getTimerCount()).toBe(0);
  });

  it('may answer a plain number', async () => {
    const { gate, wiring } = gateOnMemory();
    wiring.inventory.count = (() => 2) as unknown as typeof wiring.inventory.count;
    expect((await gate.reserve(one('devices'))).admitted).toBe(true);
    expect((await gate.reserve(one('devices'))).admitted).toBe(false);
  });

  // The last is a row as `node:sqlite` answers it.
  const NO_COUNTS = [-1, 1.5, null, Object.assign(Object.create(null), { n: 2 })];
  it.each(NO_COUNTS)('that answers %j, which is no count, decides nothing', async (answer) => {
    const { gate, wiring } = gateOnMemory();
    wiring.inventory.count = async () => answer as number;
    await expect(gate.reserve(one('devices'))).rejects.toEqual(code('quota_unavailable'));
  });

  it('that does not answer is not waited for', async () => {
    const { gate, wiring } = gateOnMemory({ inventoryTimeoutMs: 1 });
    wiring.inventory.count = () => new Promise(() => {});
    await expect(gate.reserve(one('devices'))).rejects.toEqual(code('quota_unavailable'));
  });

  /** A host that answers a count, or fails, when it is told to. */
  function slowHost() {
    const made = gateOnMemory({ inventoryTimeoutMs: 100 });
    const asked: ((answer: Promise<number> | number) => void)[] = [];
    made.wiring.inventory.count = () => new Promise((resolve) => asked.push(resolve));
    const refused = () =>
      expect(made.gate.reserve(one('devices'))).rejects.toEqual(code('quota_unavailable'));
    const admitted = () =>
      vi.waitFor(async () => expect((await made.gate.reserve(one('devices'))).admitted).toBe(true), {
        interval: 1,
      });
    return { asked, refused, admitted };
  }

  it('that answers late is not asked once more for what it has answered by then', async () => {
    const { asked, refused, admitted } = slowHost();
    await refused();
    asked[0]?.(2);
    await admitted();
    expect(asked).toHaveLength(1);
  });

  it('that cannot keep up is not asked ever more, and is asked again once that has failed', async () => {
    const { asked, refused, admitted } = slowHost();
    for (let n = 0; n < 10; n++) await refused();
    expect(asked).toHaveLength(2);
    for (const answer of asked.slice()) answer(Promise.reject(new Error('the database is down')));
    await refused();
    expect(asked).toHaveLength(3);
    asked[2]?.(2);
    await admitted();
    expect(asked).toHaveLength(3);
  });

  it('that never answers is asked again once four times its time has passed', async () => {
    const { asked, refused } = slowHost();
    const startedAt = performance.now();
    await refused();
    await refused();
    await vi.waitFor(
      async () => {
        await refused();
        expect(asked).toHaveLength(3);
      },
      { interval: 10, timeout: 5_000 },
    );
    expect(performance.now() - startedAt).toBeGreaterThanOrEqual(399);
  });

  it('that answers late refuses nobody for rows that went before a later count, which is in time', async () => {
    const { gate, wiring, rows, clock } = gateOnMemory({ inventoryTimeoutMs: 200 });
    rows.set('acme/devices', 3);
    expect((await gate.reserve(one('devices'))).admitted).toBe(false);
    clock.at += 60_000;
    const answers: (() => void)[] = [];
    wiring.inventory.count = ({ org, key }) => {
      const seen = rows.get(`${org}/${key}`) ?? 0;
      return new Promise((resolve) => answers.push(() => resolve(seen)));
    };
    await expect(gate.reserve(one('devices'))).rejects.toEqual(code('quota_unavailable'));
    rows.set('acme/devices', 2);
    const create = gate.reserve(one('devices'));
    await vi.waitFor(() => expect(answers).toHaveLength(2), { interval: 1 });
    answers[0]?.();
    await new Promise((resolve) => setTimeout(resolve, 1));
    answers[1]?.();
    expect((await create).admitted).toBe(true);
  });

  it('has no rows of metered keys to be counted anew', async () => {
    const { gate } = gateOnMemory();
    await expect(gate.recountRows('acme', ['door_opens'])).rejects.toEqual(code('unknown_quota_key'));
  });

  it('that fails is told to the host, for the create only says that nothing could be decided', async () => {
    const { gate, host, wiring } = gateOnMemory();
    const told: unknown[] = [];
    wiring.logger.warn = ((...entry: unknown[]) => told.push(entry)) as unknown as typeof wiring.logger.warn;
    host.isDown = true;
    await expect(gate.reserve(one('devices'))).rejects.toEqual(code('quota_unavailable'));
    expect(JSON.stringify(told)).toContain('the database is down');
  });

  it('that fails again and again is told now and again, with the number and an org, and not for each create', async () => {
    const { gate, host, wiring } = gateOnMemory();
    const warn = vi.spyOn(wiring.logger, 'warn');
    let now = performance.now();
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    host.isDown = true;
    for (const org of ['acme', 'globex', 'zeta'])
      await gate.reserve({ org, charges: [{ key: 'devices' }] }).catch(() => undefined);
    now += 10_000;
    await gate.reserve(one('devices')).catch(() => undefined);
    const calls: readonly unknown[][] = warn.mock.calls;
    const told = calls.filter(([message]) => String(message).startsWith('inventory.count failed'));
    expect(told.map(([, facts]) => facts)).toMatchObject([
      { org: 'acme', key: 'devices', failures: 1 },
      { org: 'acme', key: 'devices', failures: 3 },
    ]);
  });
});

describe('several engines on one store', () => {
  it('do not take rows in the making for other rows, when their first counts overlap', async () => {
    const { gate, rows, wiring } = gateOnMemory();
    const slow = gateOn(wiring);
    const count = wiring.inventory.count;
    let answerSlow = () => {};
    const firstIsMade = new Promise<void>((resolve) => {
      answerSlow = resolve;
    });
    const slowHasCounted = new Promise<void>((resolve) => {
      wiring.inventory.count = async (request) => {
        const before = await count(request);
        wiring.inventory.count = count;
        resolve();
        await firstIsMade;
        return before;
      };
    });
    // The slow engine's count begins first and ends last; meanwhile the other's create has written its row and is still running.
    const late = slow.reserve(one('devices'));
    await slowHasCounted;
    const first = await gate.reserve(one('devices'));
    rows.set('acme/devices', 1);
    answerSlow();
    const second = await late;
    const third = await gate.reserve(one('devices'));
    expect([first, second, third].map((admission) => admission.admitted)).toEqual([true, true, true]);
    expect((await gate.reserve(one('devices'))).admitted).toBe(false);
  });
});

describe('a reservation that the store lost', () => {
  it('is counted when it commits, also by a count that was begun before its row was there', async () => {
    const { gate, rows, counters, wiring } = gateOnMemory();
    const reservation = held(await gate.reserve(one('devices')));
    wiring.counters.settle = async () => ({ outcome: 'gone' });
    rows.set('acme/devices', 1);
    await reservation.commit();
    const [reading] = await counters.read({
      org: 'acme',
      counters: [{ key: 'devices', window: 'lifetime' }],
    });
    expect(reading).toMatchObject({ uncertain: 1 });
  });
});

describe('the metrics', () => {
  /** What was counted, as `metric value attribute`. */
  function metricsOf({ wiring }: ReturnType<typeof gateOnMemory>) {
    const count = vi.spyOn(wiring.telemetry, 'count');
    return () =>
      count.mock.calls.map(([metric, value, of]) => [metric, value, ...Object.values(of ?? {})].join(' '));
  }
  const away = () => Promise.reject(new TollgateError('quota_unavailable', { retryAfterSeconds: 1 }));

  it('tell a refusal once for each window that was full, and each count that was taken for it', async () => {
    const scene = gateOnMemory();
    const metrics = metricsOf(scene);
    scene.rows.set('acme/zones', 2);
    const charges = [{ key: 'devices' }, { key: 'zones' }, { key: 'door_opens', amount: 9 }];
    await scene.gate.reserve({ org: 'acme', charges });
    const counts = ['devices', 'zones', 'door_opens', 'door_opens'].map(
      (key) => `tollgate.recounts 1 ${key}`,
    );
    const denials = ['zones', 'door_opens', 'door_opens'].map((key) => `tollgate.denied 1 ${key}`);
    expect(metrics().sort()).toEqual([...counts, ...denials].sort());
  });

  it('tell a create for which others left no place', async () => {
    const scene = gateOnMemory({ maxHeldPerOrg: 1 });
    await scene.gate.reserve(one('devices'));
    const metrics = metricsOf(scene);
    const warn = vi.spyOn(scene.wiring.logger, 'warn');
    for (let times = 0; times < 3; times += 1)
      await scene.gate.reserve(one('devices')).catch(() => undefined);
    expect(metrics()).toEqual(Array(3).fill('tollgate.crowded 1'));
    expect(warn.mock.calls).toEqual([
      [expect.stringContaining('hang'), { org: 'acme', maxHeldPerOrg: 1, failures: 1 }],
    ]);
  });

  it.each([
    ['closed', []],
    ['open', ['tollgate.admitted_open 1 devices']],
    ['recount', ['tollgate.denied 1 devices']],
  ] as const)(
    'tell a create that the store could not decide, and what %s made of it',
    async (onStoreError, more) => {
      const scene = gateOnMemory({}, (store) => ({ ...store, reserve: away }));
      scene.rows.set('acme/devices', 3);
      const metrics = metricsOf(scene);
      await scene.gate.reserve({ ...one('devices'), onStoreError }).catch(() => undefined);
      expect(metrics()).toEqual([`tollgate.unavailable 1 ${onStoreError}`, ...more]);
    },
  );

  it('tell a reservation that was lost before its create was kept, and one that the store did not settle', async () => {
    const scene = gateOnMemory();
    const [kept, given, unsettled, another] = [
      held(await scene.gate.reserve(one('devices'))),
      held(await scene.gate.reserve(one('zones'))),
      held(await scene.gate.reserve(one('devices'))),
      held(await scene.gate.reserve(one('devices'))),
    ];
    const metrics = metricsOf(scene);
    scene.wiring.counters.settle = async () => ({ outcome: 'gone' });
    await given.release();
    expect(metrics()).toEqual([]);
    await kept.commit();
    expect(metrics()).toEqual(['tollgate.lost_reservations 1']);
    scene.wiring.counters.settle = away;
    const warn = vi.spyOn(scene.wiring.logger, 'warn');
    for (const one of [unsettled, another]) await one.commit().catch(() => undefined);
    expect(warn.mock.calls).toMatchObject([[expect.any(String), { org: 'acme', failures: 1 }]]);
    expect(metrics()).toEqual([
      'tollgate.lost_reservations 1',
      'tollgate.unsettled 1',
      'tollgate.unsettled 1',
    ]);
  });
});
