import type { Logger } from '../ports/logger.ts';

/** Limits warnings that may come by the thousand: logs the first of each kind, then one at intervals with the number since the last. */
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
