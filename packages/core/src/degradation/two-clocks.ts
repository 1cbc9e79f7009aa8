/**
 * The two clocks that must agree that time has passed for an org: this process's and the repository's. A spell, or the flagging of a
 * row, begins at the later and is judged at the earlier, so that one wrong clock, fast or slow, shortens nobody's grace period.
 */
export interface TwoClocks {
  readonly process: number;
  readonly repository: number;
}

/** The instant at which a spell, or the flagging of a row, that is seen now begins. */
export function beginningAt(clocks: TwoClocks): number {
  return Math.max(clocks.process, clocks.repository);
}

/** The instant at which stages are judged. */
export function judgedAt(clocks: TwoClocks): number {
  return Math.min(clocks.process, clocks.repository);
}
