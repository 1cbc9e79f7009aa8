import { TollgateError } from '@tollgate/core';
import { checkKinds } from './check-kinds.ts';
import { createPriceTable, type PriceTable } from './price-table.ts';
import type { StripeOptions } from './stripe-options.ts';
import type { ClientSettings, StripeSettings } from './stripe-settings.ts';

const PAGE_ORIGINS = ['https://checkout.stripe.com', 'https://billing.stripe.com'];
const PRORATIONS = ['create_prorations', 'always_invoice', 'none'];
const LOOPBACK = /^(localhost|127(\.\d{1,3}){3}|\[::1\])$/;
/** Visible ASCII only: white space of any script in a secret is a copying mistake. */
const SECRET = /^[\x21-\x7e]{8,512}$/;
/** Values copied from the dashboard by mistake, since they are shown next to the right ones. */
const NO_KEY = /^(pk|whsec)_/;
const NO_WEBHOOK_SECRET = /^(pk|sk|rk|we)_/;
const NAME = /^[a-z0-9][a-z0-9_-]{0,31}$/;

/**
 * Checks every option and fills in the defaults.
 *
 * @throws TollgateError `invalid_configuration`, whose message names every fault and its remedy, and no secret.
 */
export function resolveOptions(given: StripeOptions): StripeSettings {
  const faults: string[] = [];
  const options = checkKinds(given, faults);
  const prices = createPriceTable(options.prices, options.interval ?? 'month', faults);
  checkChoices(options, faults);
  checkTrials(options, prices, faults);
  const client = clientSettings(options, faults);
  const livemode = options.livemode ?? modeOf(options.secretKey);
  if (livemode === null && !isSlip(options.secretKey, NO_KEY))
    faults.push('livemode: cannot be told from the key. Say true or false.');
  const { webhookSecrets } = options;
  if (typeof webhookSecrets !== 'function' && usableSecrets(webhookSecrets) === null) {
    faults.push(
      'webhookSecrets: is missing, blank, has white space in it, or is something else of Stripe. Copy the signing secret of the webhook endpoint, whsec_..., from Stripe.',
    );
  }
  const pageOrigins = [...PAGE_ORIGINS, ...originsOf(options.pageOrigins ?? [], faults)];
  if (client.apiBase !== null && LOOPBACK.test(client.apiBase.host))
    pageOrigins.push(new URL(options.apiBase ?? '').origin);
  if (faults.length > 0) throw configurationError(faults);

  const { trialDays = 0 } = options;
  const days = new Map(typeof trialDays === 'number' ? [] : Object.entries(trialDays));
  return {
    name: options.name ?? 'stripe',
    client,
    prices,
    proration: options.proration ?? 'create_prorations',
    downgrade: options.downgrade ?? 'at_period_end',
    portalConfiguration: options.portalConfiguration ?? null,
    livemode: livemode ?? false,
    pageOrigins,
    webhookSecrets: () => secretsNow(webhookSecrets),
    checkout: {
      successUrl: options.successUrl,
      cancelUrl: options.cancelUrl ?? options.successUrl,
      trialDays: (tier) => (typeof trialDays === 'number' ? trialDays : (days.get(tier) ?? 0)),
      trialNeedsCard: options.trialNeedsCard ?? true,
      trialEndsWithoutCard: options.trialEndsWithoutCard ?? 'cancel',
      promotionCodes: options.promotionCodes ?? false,
      discount: options.discount ?? null,
      adjustableQuantity: options.adjustableQuantity ?? null,
      automaticTax: options.automaticTax ?? false,
      describeCustomer: options.describeCustomer ?? null,
    },
  };
}

function checkTrials(
  { trialDays = 0, trialEndsWithoutCard: end }: StripeOptions,
  prices: PriceTable,
  faults: string[],
): void {
  const byTier = Object(trialDays) === trialDays ? Object.entries(trialDays) : null;
  const days: readonly unknown[] = byTier?.map(([, day]) => day) ?? [trialDays];
  if (!days.every((day) => isWhole(day, 0, 730)))
    faults.push('trialDays: must be whole days from 0 to 730, for all tiers or by tier.');
  for (const [tier] of byTier ?? []) {
    if (!prices.sells(tier))
      faults.push(`trialDays: names ${tier}, which has no price. Correct its spelling or leave it out.`);
  }
  if (end !== undefined && end !== 'cancel' && end !== 'pause')
    faults.push("trialEndsWithoutCard: is unknown. Use 'cancel' or 'pause'.");
}

function checkChoices(options: StripeOptions, faults: string[]): void {
  const { proration, downgrade, interval, name, adjustableQuantity: range } = options;
  if (proration !== undefined && !PRORATIONS.includes(proration))
    faults.push(`proration: is unknown. Use one of ${PRORATIONS.join(', ')}.`);
  if (downgrade !== undefined && downgrade !== 'at_period_end' && downgrade !== 'at_once')
    faults.push("downgrade: is unknown. Use 'at_period_end' or 'at_once'.");
  if (interval !== undefined && interval !== 'month' && interval !== 'year')
    faults.push("interval: is unknown. Use 'month' or 'year'.");
  if (name !== undefined && !NAME.test(name))
    faults.push('name: is not valid. Use 1 to 32 of a-z, 0-9, _ and -, and begin with a letter or a digit.');
  if (
    range !== undefined &&
    !(isWhole(range.minimum, 1, 999_999) && isWhole(range.maximum, range.minimum, 999_999))
  )
    faults.push('adjustableQuantity: must have a minimum of 1 or more, and a maximum that is not below it.');
  for (const url of ['successUrl', 'cancelUrl'] as const) {
    const text = options[url];
    if (text === undefined ? url === 'successUrl' : !isPage(text))
      faults.push(`${url}: is not an address of yours. Write https://..., or http:// for a loopback host.`);
  }
}

function clientSettings(options: StripeOptions, faults: string[]): ClientSettings {
  const { secretKey, account, apiBase, timeoutMs = 8_000, maxNetworkRetries = 1 } = options;
  if (typeof secretKey !== 'string' || !SECRET.test(secretKey) || isSlip(secretKey, NO_KEY))
    faults.push(
      'secretKey: is missing, blank, has white space in it, or is something else of Stripe. Copy the API key, sk_... or rk_..., from Stripe.',
    );
  if (account !== undefined && !/^acct_[A-Za-z0-9]{1,64}$/.test(account))
    faults.push('account: is no account. It looks like acct_1ABC.');
  if (!isWhole(timeoutMs, 1, 80_000))
    faults.push('timeoutMs: must be a whole number from 1 to 80000. The default is 8000.');
  if (!isWhole(maxNetworkRetries, 0, 5))
    faults.push('maxNetworkRetries: must be a whole number from 0 to 5. The default is 1.');
  let base: ClientSettings['apiBase'] = null;
  if (apiBase !== undefined) {
    base = baseOf(apiBase);
    if (base === null)
      faults.push('apiBase: is not an origin. Write https://host, or http://host:port for a loopback host.');
  }
  return { secretKey, account: account ?? null, apiBase: base, timeoutMs, maxNetworkRetries };
}

function baseOf(apiBase: string): ClientSettings['apiBase'] {
  if (!URL.canParse(apiBase)) return null;
  const url = new URL(apiBase);
  const isPlain = (url.origin === apiBase || `${url.origin}/` === apiBase) && isSafe(url);
  if (!isPlain) return null;
  const protocol = url.protocol === 'http:' ? 'http' : 'https';
  const port = url.port === '' ? (protocol === 'http' ? 80 : 443) : Number(url.port);
  return { protocol, host: url.hostname, port };
}

function originsOf(given: readonly string[], faults: string[]): readonly string[] {
  return given.filter((text) => {
    const isOrigin = URL.canParse(text) && new URL(text).origin === text && isSafe(new URL(text));
    if (!isOrigin) faults.push('pageOrigins: has something that is no origin. Write https://host.');
    return isOrigin;
  });
}

/** @throws TollgateError `provider_not_configured` when the host's function throws, or its secrets are not usable */
function secretsNow(given: StripeOptions['webhookSecrets']): readonly string[] {
  let secrets: readonly string[] | null;
  try {
    secrets = usableSecrets(typeof given === 'function' ? given() : given);
  } catch (cause) {
    throw new TollgateError('provider_not_configured', { cause });
  }
  if (secrets === null) throw new TollgateError('provider_not_configured');
  return secrets;
}

/** The secrets as a list; null if there are none, or if one is not usable. */
function usableSecrets(given: unknown): readonly string[] | null {
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  const isUsable =
    list.length > 0 &&
    list.length <= 16 &&
    list.every((one) => typeof one === 'string' && SECRET.test(one) && !isSlip(one, NO_WEBHOOK_SECRET));
  return isUsable ? (list as readonly string[]) : null;
}

function isSlip(given: unknown, pattern: RegExp): boolean {
  return typeof given === 'string' && pattern.test(given);
}

function modeOf(secretKey: unknown): boolean | null {
  const word = typeof secretKey === 'string' ? /^(?:sk|rk)_(live|test)_/.exec(secretKey)?.[1] : undefined;
  return word === undefined ? null : word === 'live';
}

function isPage(text: unknown): boolean {
  if (typeof text !== 'string') return false;
  const plain = text.replaceAll('{CHECKOUT_SESSION_ID}', 'id');
  return URL.canParse(plain) && isSafe(new URL(plain));
}

function isSafe(url: URL): boolean {
  return url.protocol === 'https:' || (url.protocol === 'http:' && LOOPBACK.test(url.hostname));
}

function isWhole(value: unknown, least: number, most: number): boolean {
  return Number.isInteger(value) && Number(value) >= least && Number(value) <= most;
}

function configurationError(faults: readonly string[]): TollgateError {
  const list = faults.map((fault) => `  - ${fault}`).join('\n');
  return new TollgateError('invalid_configuration', {
    message: `The Stripe options have ${faults.length} ${faults.length === 1 ? 'fault' : 'faults'}:\n${list}`,
  });
}
