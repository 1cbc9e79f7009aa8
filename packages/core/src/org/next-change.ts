import type { OrgBilling } from '../ports/billing-repository.ts';

/**
 * The first instant after `now` (epoch ms) at which an org's limits change by time alone: an override expires, or a past-due
 * subscription's grace ends. Null when there is none.
 */
export function nextChangeAt(
  billing: Pick<OrgBilling, 'overrides' | 'subscriptions'>,
  now: number,
  pastDueGraceMs: number,
): number | null {
  const instants = [
    ...billing.overrides.map(({ expiresAt }) => expiresAt),
    ...billing.subscriptions.map(({ pastDueAt }) => (pastDueAt === null ? null : pastDueAt + pastDueGraceMs)),
  ];
  const coming = instants.filter((instant) => instant !== null && instant > now).map(Number);
  return coming.length === 0 ? null : Math.min(...coming);
}
