import { TollgateError } from '@tollgate/core';
import type { Database, HeldDatabase } from '../database/database.ts';
import { within } from '../database/within.ts';

/**
 * How many steps of one org a process runs at once. More would only wait in the database for the org's lock, each with a connection of the
 * host's pool, while the steps of other orgs wait for a connection.
 */
const AT_ONCE = 2;

/**
 * How long the waiting steps of an org hand a connection on to each other, ms: otherwise each would wait for a busy pool again. Other users
 * of the pool wait this much longer, so the orgs with waiting steps share this time: with many, no single one need keep the database busy.
 */
const HAND_ON_MS = 100;

/**
 * Runs `run` when its org has a turn for it, with the database to use and the time left, ms.
 * @throws TollgateError `repository_unavailable` when its turn does not come in time; and what `run` throws
 */
export type InTurn = <T>(
  org: string,
  run: (database: HeldDatabase, leftMs: number) => Promise<T>,
) => Promise<T>;

interface Turns {
  running: number;
  /** In order of arrival. */
  readonly waiting: Set<(place: HeldDatabase) => void>;
}

/** @param timeoutMs - longest time for a step, waiting for its turn included */
export function createOrgTurns(database: Database, timeoutMs: number): InTurn {
  const orgs = new Map<string, Turns>();

  /** How many orgs have waiting steps. */
  function crowded(): number {
    let count = 0;
    for (const { waiting } of orgs.values()) if (waiting.size > 0) count += 1;
    return count;
  }

  /** Passes the place to the next waiting step, if there is one. */
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
      // Its turn came at the same moment: the place is passed on.
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
