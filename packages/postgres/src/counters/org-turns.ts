import { TollgateError } from '@tollgate/core';
import { within } from '../database/within.ts';

/**
 * Steps of one org that a process asks the database for at once. All others would wait there for the org's lock, each with a connection
 * of the host's pool, and those of all other orgs for a connection.
 */
const AT_ONCE = 2;

/**
 * Runs `run` when it is the turn of its org, with the ms that are left to it.
 * @throws TollgateError `repository_unavailable` when its turn does not come in time, and what `run` throws
 */
export type InTurn = <T>(org: string, run: (leftMs: number) => Promise<T>) => Promise<T>;

interface Turns {
  running: number;
  /** The one that came first is the first. */
  readonly waiting: Set<() => void>;
}

/** @param timeoutMs - longest time for a step, the wait for its turn included */
export function createOrgTurns(timeoutMs: number): InTurn {
  const orgs = new Map<string, Turns>();

  /** Gives a place to the next one. */
  function leave(org: string, turns: Turns): void {
    const [next] = turns.waiting;
    if (next !== undefined) {
      turns.waiting.delete(next);
      next();
      return;
    }
    turns.running -= 1;
    if (turns.running === 0) orgs.delete(org);
  }

  async function enter(org: string, turns: Turns): Promise<void> {
    let call = () => {};
    const called = new Promise<void>((resolve) => {
      call = resolve;
    });
    turns.waiting.add(call);
    try {
      await within(called, timeoutMs, () => new Error('Other steps of the org did not end in time.'));
    } catch (cause) {
      // Called in the same moment: the place goes on.
      if (!turns.waiting.delete(call)) leave(org, turns);
      throw new TollgateError('repository_unavailable', { cause, retryAfterSeconds: 1 });
    }
  }

  return async (org, run) => {
    const deadline = performance.now() + timeoutMs;
    const turns = orgs.get(org) ?? { running: 0, waiting: new Set() };
    orgs.set(org, turns);
    if (turns.running < AT_ONCE) turns.running += 1;
    else await enter(org, turns);
    try {
      return await run(deadline - performance.now());
    } finally {
      leave(org, turns);
    }
  };
}
