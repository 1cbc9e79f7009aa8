import type { Logger } from './ports/logger.ts';

const WARN_EVERY_MS = 10_000;
/** How many orgs a line names beside its own. */
const MAX_ORGS = 10;

interface Kind {
  failures: number;
  silentUntil: number;
  /** Orgs of failures that had no line: one that fails at every sweep behind another would be named nowhere. */
  orgs: Set<unknown>;
}

const known = new WeakMap<Logger, Map<string, Kind>>();

/**
 * Limits warnings that may come by the thousand: logs the first of each kind, then one at intervals with the number since the last,
 * and a few of the orgs that those were about.
 *
 * @param kind - what is counted together; one of a few
 */
export function warnSometimes(
  logger: Logger,
  message: string,
  facts: Readonly<Record<string, unknown>>,
  kind: string = message,
): void {
  const kinds = known.get(logger) ?? new Map<string, Kind>();
  known.set(logger, kinds);
  const state = kinds.get(kind) ?? { failures: 0, silentUntil: 0, orgs: new Set() };
  kinds.set(kind, state);
  state.failures += 1;
  const { org } = facts;
  const now = performance.now();
  if (now < state.silentUntil) {
    if (org !== undefined && state.orgs.size < MAX_ORGS) state.orgs.add(org);
    return;
  }
  const otherOrgs = [...state.orgs].filter((other) => other !== org);
  const others = otherOrgs.length === 0 ? {} : { otherOrgs };
  logger.warn(message, { ...facts, failures: state.failures, ...others });
  state.failures = 0;
  state.orgs.clear();
  state.silentUntil = now + WARN_EVERY_MS;
}
