import { describe, expect, it } from 'vitest';
import { gateOnMemory } from './gate.test-support.ts';
import { settleUnawaited } from './reservation-handle.ts';
import type { Admission, ReservationHandle, ReservationRecord } from './types.ts';

const one = (key: string) => ({ org: 'acme', charges: [{ key }] });

function held(admission: Admission): ReservationHandle {
  if (!admission.admitted) throw new Error('the create was refused');
  return admission.reservation;
}

describe('the record of a reservation', () => {
  it.each(['devices', 'door_opens'])(
    'counts %s once, however often its record is settled and by whom (Q3)',
    async (key) => {
      const { gate, counters } = gateOnMemory();
      const window = key === 'devices' ? 'lifetime' : 'day:2026-04-09';
      const used = async () =>
        (await counters.read({ org: 'acme', counters: [{ key, window }] }))[0]?.committed;
      const handle = held(await gate.reserve(one(key)));
      const record = JSON.parse(JSON.stringify(handle));
      settleUnawaited(handle, 'commit');
      expect(await gate.resume(record).commit()).toBe('committed');
      expect(await gate.resume(record).release(), 'a job that was told twice').toBe('committed');
      expect(await used()).toBe(1);

      const early = { ...held(await gate.reserve(one(key))).toJSON(), rememberMs: 0 };
      expect(await gate.resume(early).release(), 'a record of an earlier version').toBe('released');
      expect(await gate.resume(early).commit(), 'told twice').toBe('released');
      expect(await used()).toBe(1);

      const told = held(await gate.reserve(one(key))).toJSON();
      expect(await gate.resume(told).release()).toBe('released');
      expect(await gate.resume({ ...told, rememberMs: 0 }).commit(), 'a record of an earlier version').toBe(
        'released',
      );
      expect(await used()).toBe(1);
    },
  );

  it('gives a copy for its record: what its holder makes of it changes nothing', async () => {
    const { gate, counters } = gateOnMemory();
    const handle = held(await gate.reserve(one('devices')));
    const record = handle.toJSON();
    Object.assign(record, { org: '***' });
    for (const charge of record.charges) Object.assign(charge, { amount: 7 });
    expect(await handle.commit()).toBe('committed');
    const [reading] = await counters.read({
      org: 'acme',
      counters: [{ key: 'devices', window: 'lifetime' }],
    });
    expect(reading).toMatchObject({ committed: 1, held: 0 });
  });

  const CHARGES = [
    { key: 'devices', window: 'lifetime', amount: 1, limit: 9, onUnknown: 'uncertain', forgetAt: null },
  ];

  it.each([
    {},
    { org: 'acme', rememberMs: 0, charges: CHARGES },
    { org: 'acme', id: 7, rememberMs: 0, charges: CHARGES },
    { org: 'acme', id: 'x', rememberMs: 0, charges: 'x' },
    { org: 'acme', id: 'x', charges: [null] },
    {
      org: 'acme',
      id: 'x',
      rememberMs: 2 ** 50,
      charges: CHARGES,
    },
  ])('is not taken up where it is none, and so neither runs a create nor is renewed: %j', (record) => {
    const { gate } = gateOnMemory();
    const resuming = () => gate.resume(record as unknown as ReservationRecord);
    expect(resuming).toThrow(expect.objectContaining({ code: expect.stringMatching(/^invalid_/) }));
  });

  it('can be taken up by another process from its record', async () => {
    const { gate, counters } = gateOnMemory();
    const record = JSON.parse(
      JSON.stringify(held(await gate.reserve({ ...one('devices'), idempotencyKey: 'k' }))),
    );
    expect(await gate.resume(record).commit()).toBe('committed');
    expect(await gate.resume(record).commit()).toBe('committed');
    const [reading] = await counters.read({
      org: 'acme',
      counters: [{ key: 'devices', window: 'lifetime' }],
    });
    expect(reading).toMatchObject({ committed: 1, held: 0 });
  });
});
