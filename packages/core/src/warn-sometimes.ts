import type { Logger } from './ports/logger.ts';

const WARN_EVERY_MS = 10_000;

const known = new WeakMap<Logger, Map<string, { failures: number; silentUntil: number }>>();

/**
 * Limits warnings that may come by the thousand: logs the first of each kind, then one at intervals with the number since the last.
 *
 * @param kind - what is counted together; one of a few
 */
export function warnSometimes(
  logger: Logger,
  message: string,
  facts: Readonly<Record<string, unknown>>,
  kind: string = message,
): void {
  const kinds = known.get(logger) ?? new Map<string, { failures: number; silentUntil: number }>();
  known.set(logger, kinds);
  const state = kinds.get(kind) ?? { failures: 0, silentUntil: 0 };
  kinds.set(kind, state);
  state.failures += 1;
  const now = performance.now();
  if (now < state.silentUntil) return;
  logger.warn(message, { ...facts, failures: state.failures });
  state.failures = 0;
  state.silentUntil = now + WARN_EVERY_MS;
}
