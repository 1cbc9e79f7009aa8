import type { OrgBilling } from '../ports/billing-repository.ts';
import { grantEndsAt } from './granted-plan.ts';

/**
 * The first instant after `now` (epoch ms) at which an org's limits change by time alone: an override expires, a past-due
 * subscription's grace ends, or a plan granted by hand does. Null when there is none.
 */
export function nextChangeAt(
  billing: Pick<OrgBilling, 'overrides' | 'subscriptions'>,
  now: number,
  pastDueGraceMs: number,
): number | null {
  const instants = [
    ...billing.overrides.map(({ expiresAt }) => expiresAt),
    ...billing.subscriptions.map(({ pastDueAt }) => (pastDueAt === null ? null : pastDueAt + pastDueGraceMs)),
    ...billing.subscriptions.map(grantEndsAt),
  ];
  const coming = instants.filter((instant) => instant !== null && instant > now).map(Number);
  return coming.length === 0 ? null : Math.min(...coming);
}
