/** The delay that friction adds to a request: `level x maxDelayMs`, whole ms, never more than `maxDelayMs`. */
export function frictionDelayMs(level: number, maxDelayMs: number): number {
  if (!(level > 0 && maxDelayMs > 0)) return 0;
  return Math.round(Math.min(1, level) * maxDelayMs);
}
