import { TollgateError } from '@tollgate/core';
import type { Database, HeldDatabase } from '../database/database.ts';
import { within } from '../database/within.ts';

/**
 * Steps of one org that a process asks the database for at once. All others would wait there for the org's lock, each with a connection
 * of the host's pool, and those of all other orgs for a connection.
 */
const AT_ONCE = 2;

/**
 * How long those who wait hand a connection on, ms: where the pool is busy each would wait for one again, two at a time. Others
 * wait for it so much longer: it is shared by the orgs, for of many one alone need not keep the database busy.
 */
const HAND_ON_MS = 100;

/**
 * Runs `run` when it is the turn of its org, with where to run it and the ms that are left to it.
 * @throws TollgateError `repository_unavailable` when its turn does not come in time, and what `run` throws
 */
export type InTurn = <T>(
  org: string,
  run: (database: HeldDatabase, leftMs: number) => Promise<T>,
) => Promise<T>;

interface Turns {
  running: number;
  /** The one that came first is the first. */
  readonly waiting: Set<(place: HeldDatabase) => void>;
}

/** @param timeoutMs - longest time for a step, the wait for its turn included */
export function createOrgTurns(database: Database, timeoutMs: number): InTurn {
  const orgs = new Map<string, Turns>();

  /** Of how many orgs some wait. */
  function crowded(): number {
    let count = 0;
    for (const { waiting } of orgs.values()) if (waiting.size > 0) count += 1;
    return count;
  }

  /** Gives a place to the next one. */
  function leave(org: string, turns: Turns, place: HeldDatabase): void {
    const [next] = turns.waiting;
    place.letGoAfter(next === undefined ? 0 : HAND_ON_MS / crowded());
    if (next !== undefined) {
      turns.waiting.delete(next);
      next(place);
      return;
    }
    turns.running -= 1;
    if (turns.running === 0) orgs.delete(org);
  }

  async function enter(org: string, turns: Turns): Promise<HeldDatabase> {
    if (turns.running < AT_ONCE) {
      turns.running += 1;
      return database.hold();
    }
    let call = (_place: HeldDatabase) => {};
    const called = new Promise<HeldDatabase>((resolve) => {
      call = resolve;
    });
    turns.waiting.add(call);
    try {
      return await within(called, timeoutMs, () => new Error('Other steps of the org did not end in time.'));
    } catch (cause) {
      // Called in the same moment: the place goes on.
      if (!turns.waiting.delete(call)) leave(org, turns, await called);
      throw new TollgateError('repository_unavailable', { cause, retryAfterSeconds: 1 });
    }
  }

  return async (org, run) => {
    const deadline = performance.now() + timeoutMs;
    const turns = orgs.get(org) ?? { running: 0, waiting: new Set() };
    orgs.set(org, turns);
    const place = await enter(org, turns);
    try {
      return await run(place, deadline - performance.now());
    } finally {
      leave(org, turns, place);
    }
  };
}
