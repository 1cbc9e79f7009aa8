import type { OrgBilling } from '../ports/billing-repository.ts';

/**
 * The first instant after `now` (epoch ms) at which an org's limits change by time alone: an override expires, or a past-due
 * subscription's grace ends. Null when there is none. The sweep looks again then, so that a spell begins when it should.
 */
export function nextLookAt(
  billing: Pick<OrgBilling, 'overrides' | 'subscriptions'>,
  now: number,
  pastDueGraceMs: number,
): number | null {
  const instants = [
    ...billing.overrides.map(({ expiresAt }) => expiresAt),
    ...billing.subscriptions.map(({ pastDueAt }) => (pastDueAt === null ? null : pastDueAt + pastDueGraceMs)),
  ];
  let first: number | null = null;
  for (const instant of instants) {
    if (instant !== null && instant > now && (first === null || instant < first)) first = instant;
  }
  return first;
}
