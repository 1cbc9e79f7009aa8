/**
 * What the server's clock shows, by what it told last and how long ago that was. It may show more: an answer takes its time to arrive, and one
 * from a batch's record tells when that was run.
 */
export interface ServerClock {
  /**
   * Epoch ms; undefined when nothing was heard for so long that the clocks may have drifted apart, or when this machine slept meanwhile.
   *
   * @param at - on the clock of `performance.now()`, here as below; now by default
   */
  now(at?: number): number | undefined;
  heard(time: number, at?: number): void;
}

const FORGET_MS = 600_000;
/** While a machine sleeps its calendar goes on, and the clock that never goes back stands still. */
const SLEPT_MS = 5_000;

/** @param fixed - for tests alone: what the script is told to take for the time */
export function createServerClock(fixed?: () => number): ServerClock {
  let told = 0;
  let heardAt = Number.NEGATIVE_INFINITY;
  let heardOn = 0;
  return {
    now(at = performance.now()) {
      if (fixed !== undefined) return fixed();
      const age = at - heardAt;
      const hasSlept = Math.abs(Date.now() - heardOn - age) > SLEPT_MS;
      return age > FORGET_MS || hasSlept ? undefined : told + age;
    },
    heard(time, at = performance.now()) {
      told = time;
      heardAt = at;
      heardOn = Date.now();
    },
  };
}
