/**
 * The two clocks that must agree before time has passed for an org: this process' and the repository's. What begins, a spell or
 * a row's being picked, begins at the later and is judged at the earlier, so that one clock that is wrong, either way, shortens nobody's grace.
 */
export interface TwoClocks {
  readonly process: number;
  readonly repository: number;
}

/** The instant at which what is seen now begins: a spell, or a row's being picked. */
export function beginningAt(clocks: TwoClocks): number {
  return Math.max(clocks.process, clocks.repository);
}

/** The instant at which stages are judged. */
export function judgedAt(clocks: TwoClocks): number {
  return Math.min(clocks.process, clocks.repository);
}
