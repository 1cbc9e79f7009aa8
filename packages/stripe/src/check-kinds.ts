import type { StripeOptions } from './stripe-options.ts';

const KINDS = {
  any: { is: () => true, cure: '' },
  boolean: { is: (value: unknown) => typeof value === 'boolean', cure: 'Say true or false.' },
  text: { is: (value: unknown) => typeof value === 'string', cure: 'Give a text.' },
  list: { is: Array.isArray, cure: 'Give a list.' },
  function: { is: (value: unknown) => typeof value === 'function', cure: 'Give a function.' },
  object: {
    is: (value: unknown) => typeof value === 'object' && value !== null,
    cure: 'Give an object.',
  },
} as const;

/** Every option with its kind; `any` if another check covers it. */
const KIND_OF = {
  secretKey: 'any',
  webhookSecrets: 'any',
  prices: 'object',
  successUrl: 'any',
  cancelUrl: 'any',
  interval: 'any',
  proration: 'any',
  downgrade: 'any',
  trialDays: 'any',
  trialNeedsCard: 'boolean',
  trialEndsWithoutCard: 'any',
  promotionCodes: 'boolean',
  discount: 'function',
  adjustableQuantity: 'object',
  automaticTax: 'boolean',
  describeCustomer: 'function',
  portalConfiguration: 'text',
  livemode: 'boolean',
  account: 'any',
  pageOrigins: 'list',
  apiBase: 'any',
  timeoutMs: 'any',
  maxNetworkRetries: 'any',
  name: 'any',
} as const satisfies { readonly [P in keyof Required<StripeOptions>]: keyof typeof KINDS };

/** Adds a fault for each option that is unknown or of the wrong kind; returns the others. */
export function checkKinds(options: StripeOptions, faults: string[]): StripeOptions {
  const given = Object.entries(options ?? {}).filter(([name, value]) => {
    if (!Object.hasOwn(KIND_OF, name)) {
      faults.push(`${name}: is not an option. Correct its spelling or leave it out.`);
      return false;
    }
    const { is, cure } = KINDS[KIND_OF[name as keyof StripeOptions]];
    if (value === undefined || is(value)) return true;
    faults.push(`${name}: is of the wrong kind. ${cure}`);
    return false;
  });
  return Object.fromEntries(given) as unknown as StripeOptions;
}
