/**
 * What the server's clock shows, by what it told last and how long ago that was: somewhat less than it really shows, since the answer took its
 * time to arrive.
 */
export interface ServerClock {
  /** Epoch ms; undefined when nothing was heard for so long that the two clocks may have drifted apart. */
  now(): number | undefined;
  heard(time: number): void;
}

const FORGET_MS = 600_000;

/** @param fixed - for tests alone: what the script is told to take for the time */
export function createServerClock(fixed?: () => number): ServerClock {
  let told = 0;
  let heardAt = Number.NEGATIVE_INFINITY;
  return {
    now() {
      if (fixed !== undefined) return fixed();
      const age = performance.now() - heardAt;
      return age < FORGET_MS ? told + age : undefined;
    },
    heard(time) {
      told = time;
      heardAt = performance.now();
    },
  };
}
