import type { Logger } from '../ports/logger.ts';

/** Warns of failures that may come by the thousand, sweep after sweep: of each kind at once, and then now and again with how many there were. */
export type WarnSometimes = (kind: string, message: string, facts: Readonly<Record<string, unknown>>) => void;

const WARN_EVERY_MS = 10_000;

export function createWarnSometimes(logger: Logger): WarnSometimes {
  const kinds = new Map<string, { failures: number; silentUntil: number }>();

  return (kind, message, facts) => {
    const known = kinds.get(kind) ?? { failures: 0, silentUntil: 0 };
    kinds.set(kind, known);
    known.failures += 1;
    const now = performance.now();
    if (now < known.silentUntil) return;
    logger.warn(message, { ...facts, failures: known.failures });
    known.failures = 0;
    known.silentUntil = now + WARN_EVERY_MS;
  };
}
