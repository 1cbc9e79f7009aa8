import type { BillingOptions, LifecycleOptions, OverCapacityOptions } from './options.ts';
import { LIFECYCLE_NUMBERS, NUMBERS, OVER_CAPACITY_NUMBERS } from './resolve-settings.ts';

/** The methods that a given part must have; of a repository, those without which nothing works at all. */
const METHODS = {
  counters: ['reserve', 'settle', 'renew', 'adjust', 'read', 'beginRecount', 'finishRecount', 'close'],
  repository: ['loadOrg', 'close'],
  provider: [
    'sells',
    'createCustomer',
    'hasCustomer',
    'openCheckout',
    'fetchCheckout',
    'expireCheckout',
    'changeSubscription',
    'cancelSubscription',
    'fetchSubscription',
    'listSubscriptions',
    'readWebhook',
    'close',
  ],
  clock: ['now'],
  ids: ['next'],
  logger: ['debug', 'info', 'warn', 'error'],
  telemetry: ['count'],
} as const satisfies { readonly [P in keyof BillingOptions]?: readonly string[] };

/** The cure if a part is something else, such as a database client. */
const CURES: { readonly [P in keyof typeof METHODS]?: string } = {
  counters:
    'Pass a counter store such as redisCounterStore({ client }), or leave it out to count in this process.',
  repository:
    'Pass a repository such as postgresRepository({ pool }), or leave it out to keep all in memory.',
  provider: 'Pass a payment provider such as sandboxProvider(...), or null when nothing is sold here.',
};

const OPTION_NAMES = {
  ...NUMBERS,
  quotas: true,
  tiers: true,
  inventory: true,
  access: true,
  provider: true,
  counters: true,
  repository: true,
  org: true,
  orgIdPattern: true,
  deniedStatus: true,
  onStoreError: true,
  returnOrigins: true,
  grantingStatuses: true,
  subjectTypes: true,
  overCapacity: true,
  lifecycle: true,
  usageThresholds: true,
  basePath: true,
  allowedOrigins: true,
  clock: true,
  ids: true,
  logger: true,
  telemetry: true,
} as const satisfies { readonly [P in keyof Required<BillingOptions>]: unknown };

const OVER_CAPACITY_NAMES = {
  ...OVER_CAPACITY_NUMBERS,
  defaultPolicy: true,
} as const satisfies { readonly [P in keyof Required<OverCapacityOptions>]: unknown };

const LIFECYCLE_NAMES = {
  ...LIFECYCLE_NUMBERS,
  suspend: true,
  restore: true,
  remove: true,
} as const satisfies { readonly [P in keyof Required<LifecycleOptions>]: unknown };

/** Adds a fault for each unknown option: a misspelt one would silently leave its default in force. */
export function checkNames(options: BillingOptions, faults: string[]): void {
  checkNamesOf(options, OPTION_NAMES, '', faults);
  const { overCapacity, lifecycle } = options;
  if (isPlain(overCapacity)) checkNamesOf(overCapacity, OVER_CAPACITY_NAMES, 'overCapacity.', faults);
  if (isPlain(lifecycle)) checkNamesOf(lifecycle, LIFECYCLE_NAMES, 'lifecycle.', faults);
}

/** Adds a fault for each option that is not among the known ones. */
export function checkNamesOf(given: object, known: object, prefix: string, faults: string[]): void {
  for (const name of Object.keys(given)) {
    if (!Object.hasOwn(known, name))
      faults.push(`${prefix}${name}: is not an option. Correct its spelling or leave it out.`);
  }
}

/** Excludes class instances, which may have fields other than options. */
function isPlain(value: unknown): value is object {
  return typeof value === 'object' && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

/** Checks that the parts a host passes have their methods; adds each fault to `faults`, with its cure. */
export function checkParts(options: BillingOptions, faults: string[]): void {
  for (const [part, methods] of Object.entries(METHODS)) {
    const given: unknown = options[part as keyof typeof METHODS];
    if (given === undefined || (part === 'provider' && given === null)) continue;
    const lacking = methods.filter((method) => typeof Object(given)[method] !== 'function');
    if (lacking.length > 0) {
      const cure =
        CURES[part as keyof typeof METHODS] ?? 'Implement it whole, or leave it out for the default.';
      faults.push(`${part}: lacks ${lacking.join(', ')}. ${cure}`);
    }
  }
  if (options.org !== undefined && typeof options.org !== 'function') {
    faults.push(
      'org: is not a function. Pass one that finds the org of a request, or say `org` in every guard.',
    );
  }
}
