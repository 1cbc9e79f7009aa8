import { TollgateError } from '../errors/tollgate-error.ts';
import type { Customer } from '../ports/billing-repository.ts';
import type { Wiring } from '../wiring.ts';
import { callProvider, configured } from './call-provider.ts';
import { idempotencyKey } from './idempotency-key.ts';
import type { Reconcile } from './reconcile.ts';

/** An org, and the customer to link it with. */
export interface CustomerLink extends Pick<Customer, 'org' | 'customerId'> {
  /** The id of the customer that is linked now and gives way. */
  readonly replaces?: string | undefined;
}

/** The provider's customers that pay for orgs. */
export interface Customers {
  /** The org's customer at the configured provider; null if there is none yet. */
  find(org: string): Promise<Customer | null>;
  /** The org's customer, created at the provider and linked if there is none. Concurrent callers get the same one. */
  ensure(org: string): Promise<Customer>;
  /**
   * Calls `use` with an org's customer. If the provider refuses and is sure that this customer is gone, calls it again with another
   * one, created and linked in its place. Concurrent callers get the same one.
   */
  serve<T>(customer: Customer, use: (customer: Customer) => Promise<T>): Promise<T>;
  /**
   * Links a customer that exists at the provider already. One that is linked to the org before is replaced only if `replaces` names it and
   * all its subscriptions have ended, or, without `replaces`, if the provider is sure that it is gone. Links the same one again without
   * effect.
   *
   * @throws TollgateError `not_found` if the provider has no such customer; `customer_conflict` if the org has another one that is not
   * replaced, or the customer pays for another org
   */
  link(request: CustomerLink): Promise<Customer>;
  /** Whether the provider is sure that a customer is gone. */
  isGone(customer: Customer): Promise<boolean>;
}

/** @param onLinked - called when a customer has just been linked, so that events waiting for it can be applied. */
export function createCustomers(
  wiring: Pick<Wiring, 'repository' | 'provider' | 'logger'>,
  reconcile: Reconcile,
  onLinked: (customer: Customer) => Promise<void>,
): Customers {
  const { repository, logger } = wiring;

  async function find(org: string): Promise<Customer | null> {
    const provider = configured(wiring.provider);
    const { customers } = await repository.loadOrg(org);
    return customers.find((customer) => customer.provider === provider.name) ?? null;
  }

  async function ensure(org: string): Promise<Customer> {
    const known = await find(org);
    if (known !== null) return known;
    const customer = await repository.linkCustomer(await make(org));
    await onLinked(customer);
    return customer;
  }

  /** @param gone - the id of the customer it replaces: with that one's idempotency key the provider would return that one again */
  async function make(org: string, ...gone: readonly string[]): Promise<Customer> {
    const provider = configured(wiring.provider);
    const request = { org, idempotencyKey: idempotencyKey('customer', provider.name, org, ...gone) };
    const { customerId } = await callProvider(() => provider.createCustomer(request));
    return { org, provider: provider.name, customerId };
  }

  async function isGone({ customerId }: Customer): Promise<boolean> {
    const provider = configured(wiring.provider);
    return !(await callProvider(() => provider.hasCustomer({ customerId })));
  }

  async function serve<T>(customer: Customer, use: (customer: Customer) => Promise<T>): Promise<T> {
    try {
      return await use(customer);
    } catch (error) {
      const isRefusal = error instanceof TollgateError && error.code === 'provider_error';
      // A provider that cannot be asked at present is not sure: then the refusal stands.
      if (!isRefusal || !(await isGone(customer).catch(() => false))) throw error;
      return await use(await replaceGone(customer, () => make(customer.org, customer.customerId)));
    }
  }

  async function replaceGone(gone: Customer, another: () => Promise<Customer>): Promise<Customer> {
    const { org, provider, customerId } = gone;
    logger.error('The provider says that a customer is gone. The org gets another one.', {
      org,
      provider,
      customer: customerId,
    });
    // Now, while events of the old customer still find their org: nobody would apply them afterwards.
    await reconcile(gone, 'system');
    return await replace(gone, await another());
  }

  async function replace(old: Customer, another: Customer): Promise<Customer> {
    const customer = await repository.replaceCustomer({ customer: another, gone: old.customerId });
    await onLinked(customer);
    return customer;
  }

  async function link({ org, customerId, replaces }: CustomerLink): Promise<Customer> {
    const customer = { org, provider: configured(wiring.provider).name, customerId };
    const owner = await repository.findCustomer(customer);
    if (owner !== null && owner.org !== org)
      throw new TollgateError('customer_conflict', { message: 'The customer pays for another org.' });
    if (await isGone(customer)) {
      throw new TollgateError('not_found', { message: 'The payment provider has no such customer.' });
    }
    const linked = await linkOrReplace(customer, replaces);
    if (linked.customerId !== customerId) throw new TollgateError('customer_conflict');
    return linked;
  }

  async function linkOrReplace(customer: Customer, replaces: string | undefined): Promise<Customer> {
    const before = await find(customer.org);
    if (before === null || before.customerId === customer.customerId) {
      // Also for one that was linked before: an earlier call may have failed when only that was done.
      const linked = await repository.linkCustomer(customer);
      await onLinked(linked);
      return linked;
    }
    if (replaces === undefined)
      return (await isGone(before)) ? await replaceGone(before, async () => customer) : before;
    if (replaces !== before.customerId) return before;
    // What is live would stay stored as live: events of the old customer find no org afterwards.
    const { live } = await reconcile(before, 'system');
    if (live.length > 0)
      throw new TollgateError('customer_conflict', {
        message: 'A subscription of the customer to replace has not ended.',
      });
    return await replace(before, customer);
  }

  return { find, ensure, serve, link, isGone };
}
