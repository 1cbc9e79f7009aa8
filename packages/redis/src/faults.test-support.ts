import type { Charge, CounterStore, Reservation } from '@tollgate/core';
import type { RedisCounterStoreOptions } from './options.ts';
import { redisCounterStore } from './redis-counter-store.ts';

export const DEVICES = { key: 'devices', window: 'lifetime' } as const;
const silent = { debug: () => {}, info: () => {}, warn: () => {}, error: () => {} };

export function charge(over: Partial<Charge> = {}): Charge {
  return { ...DEVICES, amount: 1, limit: 100, onUnknown: 'uncertain', forgetAt: null, ...over };
}

export function reservation(id: string, over: Partial<Reservation> = {}): Reservation {
  return { org: 'acme', id, charges: [charge()], rememberMs: 0, ...over };
}

export function openStore(options: RedisCounterStoreOptions): CounterStore {
  return redisCounterStore({ logger: silent, ...options });
}

export const reserve = (
  store: CounterStore,
  id: string,
  over: Partial<Reservation> & { leaseMs?: number } = {},
) => store.reserve({ ...reservation(id, over), leaseMs: over.leaseMs ?? 30_000, maxHeld: 10_000 });

export const settle = (
  store: CounterStore,
  id: string,
  as: 'commit' | 'release' | 'unknown',
  over: Partial<Reservation> = {},
) => store.settle({ ...reservation(id, over), as });

/** Sets a counter's count, as a recount does. */
export async function count(store: CounterStore, units: number, org = 'acme'): Promise<void> {
  const tokens = await store.beginRecount({ org, counters: [DEVICES] });
  await store.finishRecount({
    org,
    counts: tokens.map((token) => ({ ...token, count: units, forgetAt: null })),
  });
}

export async function read(store: CounterStore, org = 'acme') {
  return (await store.read({ org, counters: [DEVICES] }))[0] ?? null;
}

/** The result of a call, or the code of its error, and how long it took. */
export async function timed<T>(
  call: () => Promise<T>,
): Promise<{ readonly result: T | string; readonly ms: number }> {
  const startedAt = performance.now();
  const result = await call().catch((error: { code?: string }) => error.code ?? String(error));
  return { result, ms: performance.now() - startedAt };
}
