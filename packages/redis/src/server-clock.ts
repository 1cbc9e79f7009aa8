/**
 * Estimates the server's clock from the time in its last reply and the time since. The true clock may be ahead: a reply takes time to
 * arrive, and one from a batch's record has the time at which the batch ran.
 */
export interface ServerClock {
  /**
   * Epoch ms. Undefined if the last reply is so old that the clocks may have drifted apart, or if this machine was suspended since.
   *
   * @param at - on the clock of `performance.now()`, here as below; now by default
   */
  now(at?: number): number | undefined;
  heard(time: number, at?: number): void;
}

const FORGET_MS = 600_000;
/** While a machine is suspended, `Date.now()` moves on and `performance.now()` stands still: more than this apart shows that it was. */
const SLEPT_MS = 5_000;

/** @param fixed - for tests only: the script's time */
export function createServerClock(fixed?: () => number): ServerClock {
  let serverTime = 0;
  let heardAt = Number.NEGATIVE_INFINITY;
  let heardOn = 0;
  return {
    now(at = performance.now()) {
      if (fixed !== undefined) return fixed();
      const age = at - heardAt;
      const hasSlept = Math.abs(Date.now() - heardOn - age) > SLEPT_MS;
      return age > FORGET_MS || hasSlept ? undefined : serverTime + age;
    },
    heard(time, at = performance.now()) {
      serverTime = time;
      heardAt = at;
      heardOn = Date.now();
    },
  };
}
