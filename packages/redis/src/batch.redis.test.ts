import { expect, it } from 'vitest';
import { type BatchHead, BatchWriter } from './batch.ts';
import { charge } from './faults.test-support.ts';
import { spellKeys } from './keys.ts';
import { createLiveReservations } from './live-reservations.ts';
import { ReserveOperation, UnawaitedSettleOperation } from './operations.ts';
import { createOrgStates } from './org-states.ts';
import { Portion } from './queue.ts';

const HEAD: BatchHead = {
  seq: 1,
  nonce: 1,
  epochSeen: 7,
  serverSeen: 9,
  knownUntil: 0,
  runUntil: 0,
  checkServer: false,
  clock: false,
};

function scene() {
  const keys = spellKeys({ prefix: 'tg', hashTags: 1 });
  const states = createOrgStates(keys.org);
  const [tag] = keys.tags;
  if (tag === undefined) throw new Error('There is a hash tag.');
  const writer = new BatchWriter({ tag, recordMs: 60_000, lapsedKeepMs: 0 });
  const reservation = (org: string, limit: number) => ({
    org,
    id: 'r',
    charges: [charge({ limit })],
    rememberMs: 0,
    leaseMs: 1_000,
    maxHeld: 10,
  });
  const write = (operation: ReserveOperation | UnawaitedSettleOperation, head: Partial<BatchHead> = {}) =>
    writer
      .write({ ...HEAD, ...head }, 'p', [new Portion(operation.org, [operation])])
      .toArguments('script', false)
      .at(-1) ?? '';
  const reserve = (org: string, limit: number) =>
    new ReserveOperation(states.of(org), reservation(org, limit), createLiveReservations(states));
  const commit = (org: string, limit: number) =>
    new UnawaitedSettleOperation(states.of(org), reservation(org, limit), 'commit', {
      settled: () => {},
      failed: () => {},
    });
  return { writer, write, reserve, commit };
}

it('spells what operations share alike in batch after batch, so that Redis need not read it again', () => {
  const { write, reserve, commit } = scene();
  const limits = [3, 50];
  for (const limit of limits) write(reserve('acme', limit));
  const spelled = write(reserve('globex', 50));
  expect(write(reserve('acme', 3))).toBe(spelled);
  expect(write(commit('acme', 50)), 'no reserve among it').toBe(spelled);
  expect(write(reserve('acme', 3), { epochSeen: 8 }), 'in another epoch').not.toBe(spelled);
  expect(write(reserve('acme', 3), { checkServer: true })).not.toBe(spelled);
  expect(write(reserve('acme', 3)), 'and again in the first').toBe(spelled);
});

it('does not carry along what earlier batches shared without end', () => {
  const { write, reserve } = scene();
  const one = write(reserve('acme', 1)).length;
  const lengths = Array.from({ length: 200 }, (_, limit) => write(reserve('acme', 1_000 + limit)).length);
  expect(Math.max(...lengths)).toBeLessThan(20 * one);
});

it('says to a full Redis that reserves are refused, and nothing else otherwise', () => {
  const batch = scene().writer.write(HEAD, 'p', []);
  const [full, usual] = [true, false].map((isFull) =>
    JSON.parse(batch.toArguments('s', isFull).at(-1) ?? ''),
  );
  expect([full[0], usual[0]]).toEqual([true, false]);
  expect(full.slice(1)).toEqual(usual.slice(1));
});
