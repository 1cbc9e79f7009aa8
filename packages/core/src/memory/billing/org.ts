import type { BillingRepository } from '../../ports/billing-repository.ts';
import type { Synchronous } from './synchronous.ts';
import { byTexts, type TableStore } from './tables.ts';

/** The repository's method that loads what decides an org's limits. */
export function orgMethods({ tables }: TableStore): Synchronous<Pick<BillingRepository, 'loadOrg'>> {
  const ofOrg = <T extends { readonly org: string }>(rows: Iterable<T>, org: string) =>
    [...rows].filter((row) => row.org === org);
  return {
    loadOrg: (org) => ({
      customers: ofOrg(tables.customers.values(), org).sort(byTexts(({ provider }) => [provider])),
      subscriptions: ofOrg(tables.subscriptions.values(), org).sort(
        byTexts(({ provider, id }) => [provider, id]),
      ),
      overrides: [...tables.overrides.values()]
        .filter(({ subjectType, subjectId }) => subjectType === 'org' && subjectId === org)
        .sort(byTexts(({ id }) => [id])),
    }),
  };
}
