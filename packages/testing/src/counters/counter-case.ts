import type {
  Charge,
  CounterReading,
  CounterRef,
  CounterStore,
  Reservation,
  ReserveOutcome,
  SettleOutcome,
} from '@tollgate/core';
import { expect, it } from 'vitest';
import type { CounterStoreHost, StoredCounter } from '../counter-store-host.ts';

export const ORG = 'acme';
export const DEVICES: CounterRef = { key: 'devices', window: 'lifetime' };
export const ZONES: CounterRef = { key: 'zones', window: 'lifetime' };
export const OPENS: CounterRef = { key: 'door_opens', window: 'day:2026-04-09' };

/** A charge of one unit of `devices` at limit 10, unless overridden. */
export function charge(over: Partial<Charge> = {}): Charge {
  return { ...DEVICES, amount: 1, limit: 10, onUnknown: 'uncertain', forgetAt: null, ...over };
}

type Reserving = Partial<Reservation> & { readonly leaseMs?: number; readonly maxHeld?: number };
type Settling = Pick<Parameters<CounterStore['settle']>[0], 'as' | 'amounts'>;

/** The store of one test, with the calls that most tests make. Those that take `through` can use another handle on the same data. */
export interface CounterCase {
  readonly store: CounterStore;
  peer(): Promise<CounterStore>;
  reservation(id: string, over?: Reserving): Reservation;
  /** Reserves one device for the host's `leaseMs`, unless overridden. */
  reserve(id: string, over?: Reserving, through?: CounterStore): Promise<ReserveOutcome>;
  settle(id: string, as: Settling, over?: Reserving, through?: CounterStore): Promise<SettleOutcome>;
  /** Begins and finishes a recount. */
  count(counter: CounterRef, count: number, forgetAt?: number | null): Promise<void>;
  read(counter: CounterRef, org?: string): Promise<CounterReading | null>;
  /** Expects this to be stored, and the port to report the same. */
  expectCounter(counter: CounterRef, expected: Partial<StoredCounter>, org?: string): Promise<void>;
  stored(counter: CounterRef, org?: string): Promise<StoredCounter | null>;
  orgs(): Promise<readonly string[]>;
  records(): Promise<number>;
  now(): Promise<number>;
  advance(ms: number): Promise<void>;
  /** Moves to just before the instant `ms` from now; `past` then moves to just after it. */
  upTo(ms: number): Promise<void>;
  past(): Promise<void>;
}

/** Registers tests that each get a fresh store of the host, torn down afterwards. */
export function counterTests<S extends CounterStore>(host: CounterStoreHost<S>) {
  return (name: string, test: (a: CounterCase) => Promise<void>) => {
    it(name, async () => {
      const store = await host.create();
      try {
        await test(caseOf(host, store));
      } finally {
        await host.teardown(store);
      }
    });
  };
}

function caseOf<S extends CounterStore>(host: CounterStoreHost<S>, store: S): CounterCase {
  const { inspect, clock, timing } = host;
  const advance = async (ms: number) => clock.advance(store, ms);
  const reservation = (id: string, over: Reserving = {}): Reservation => ({
    org: over.org ?? ORG,
    id,
    charges: over.charges ?? [charge()],
    rememberMs: over.rememberMs ?? 0,
  });
  const read = async (counter: CounterRef, org = ORG) =>
    (await store.read({ org, counters: [counter] }))[0] ?? null;
  return {
    store,
    peer: async () => host.createPeer(store),
    reservation,
    reserve: (id, over = {}, through = store) =>
      through.reserve({
        ...reservation(id, over),
        leaseMs: over.leaseMs ?? timing.leaseMs,
        maxHeld: over.maxHeld ?? 1_000,
      }),
    settle: (id, as, over, through = store) => through.settle({ ...reservation(id, over), ...as }),
    async count(counter, count, forgetAt = null) {
      const tokens = await store.beginRecount({ org: ORG, counters: [counter] });
      const counts = tokens.map((token) => ({ ...token, count, forgetAt }));
      expect(await store.finishRecount({ org: ORG, counts })).toMatchObject([{ applied: true }]);
    },
    read,
    async expectCounter(counter, expected, org = ORG) {
      expect(await inspect.counter(store, { org, ...counter })).toMatchObject(expected);
      expect(await read(counter, org)).toMatchObject(expected);
    },
    stored: (counter, org = ORG) => inspect.counter(store, { org, ...counter }),
    orgs: () => inspect.orgs(store),
    records: () => inspect.records(store),
    now: async () => clock.now(store),
    advance,
    upTo: (ms) => advance(ms - timing.slackMs - 1),
    past: () => advance(2 * timing.slackMs + 1),
  };
}
