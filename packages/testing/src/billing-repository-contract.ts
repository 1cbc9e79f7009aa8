import type { BillingRepository } from '@tollgate/core';
import { describe } from 'vitest';
import type { BillingRepositoryHost } from './billing-repository-host.ts';
import { checkouts } from './repository/checkouts.ts';
import { inbox } from './repository/inbox.ts';
import { lifecycle } from './repository/lifecycle.ts';
import { orgRecords } from './repository/org-records.ts';
import { repositoryOutages } from './repository/outages.ts';

/** Registers the tests that every billing repository must pass. Call it at the top level of a Vitest file. */
export function billingRepositoryContract<R extends BillingRepository>(host: BillingRepositoryHost<R>): void {
  describe(`billing repository contract${host.name === undefined ? '' : `: ${host.name}`}`, () => {
    orgRecords(host);
    inbox(host);
    checkouts(host);
    lifecycle(host);
    repositoryOutages(host);
  });
}
