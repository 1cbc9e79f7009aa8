import { isRegExp } from 'node:util/types';
import { SELECTION_POLICIES } from './degradation/picking-order.ts';
import type { BillingOptions } from './options.ts';
import { MOST_REMEMBER_MS } from './ports/counter-store-checks.ts';
import type { Settings } from './wiring.ts';

const DAY_MS = 86_400_000;
const TEN_YEARS_MS = 3_650 * DAY_MS;

/** Whole-number options: default, minimum, maximum. */
export const NUMBERS = {
  leaseMs: [30_000, 10, DAY_MS],
  maxHeldPerOrg: [1_000, 1, 1_000_000],
  limitsTtlMs: [5_000, 0, 3_600_000],
  refusalCountMaxAgeMs: [10_000, 0, DAY_MS],
  recountEveryMs: [300_000, 1, TEN_YEARS_MS],
  inventoryTimeoutMs: [5_000, 1, 600_000],
  snapshotEveryMs: [2_000, 1, 3_600_000],
  idempotencyMs: [DAY_MS, 1, MOST_REMEMBER_MS],
  pastDueGraceMs: [14 * DAY_MS, 0, TEN_YEARS_MS],
  maxBodyBytes: [1_048_576, 1, 1_073_741_824],
  bodyTimeoutMs: [10_000, 1, 3_600_000],
} as const;

export const OVER_CAPACITY_NUMBERS = {
  warnedMs: [14 * DAY_MS, 0, TEN_YEARS_MS],
  degradedMs: [14 * DAY_MS, 0, TEN_YEARS_MS],
  maxDelayMs: [2_000, 0, 60_000],
  maxWaiting: [100, 0, 100_000],
} as const;

export const LIFECYCLE_NUMBERS = {
  callbackTimeoutMs: [10_000, 1, 600_000],
  sightingMs: [600_000, 1, 30 * DAY_MS],
} as const;

const LOOPBACK_HOSTS: ReadonlySet<string> = new Set(['localhost', '127.0.0.1', '[::1]']);

/** Fills in every default and checks every plain option; adds each fault to `faults`, with its cure. */
export function resolveSettings(options: BillingOptions, faults: string[]): Settings {
  const deniedStatus = options.deniedStatus ?? 429;
  if (![429, 402, 403].includes(deniedStatus))
    faults.push('deniedStatus: is not one of 429, 402, 403. Choose one of these.');
  const onStoreError = options.onStoreError ?? 'closed';
  if (!['closed', 'open', 'recount'].includes(onStoreError)) {
    faults.push("onStoreError: is not one of 'closed', 'open', 'recount'. Choose one of these.");
  }
  if (options.orgIdPattern !== undefined && !isRegExp(options.orgIdPattern)) {
    faults.push(
      'orgIdPattern: is not a regular expression. Give one for the whole id, such as /^[a-z0-9]{1,64}$/.',
    );
  } else if (/[gy]/.test(options.orgIdPattern?.flags ?? '')) {
    faults.push(
      'orgIdPattern: has the flag g or y, which makes matching depend on earlier calls. Remove the flag.',
    );
  }
  if (options.basePath !== undefined && !/^(\/[A-Za-z0-9._~-]+)*$/.test(options.basePath)) {
    faults.push(
      'basePath: is not a path such as /api/v1. Start it with a slash and leave out the one at the end.',
    );
  }
  return {
    ...numbers(options, NUMBERS, '', faults),
    org: options.org,
    orgIdPattern: wholly(options.orgIdPattern ?? /^[A-Za-z0-9_-]{1,64}$/),
    deniedStatus,
    onStoreError,
    returnOrigins: origins('returnOrigins', options.returnOrigins ?? [], faults),
    grantingStatuses: new Set(
      texts('grantingStatuses', options.grantingStatuses ?? ['active', 'trialing'], faults),
    ),
    subjectTypes: texts('subjectTypes', options.subjectTypes ?? ['org'], faults),
    overCapacity: overCapacity(options.overCapacity, faults),
    lifecycle: lifecycle(options.lifecycle, faults),
    usageThresholds: thresholds(options.usageThresholds ?? [80, 100], faults),
    basePath: options.basePath ?? null,
    allowedOrigins:
      options.allowedOrigins == null ? null : origins('allowedOrigins', options.allowedOrigins, faults),
  };
}

/** Anchors a pattern, which would otherwise accept any string that contains a match. */
function wholly(pattern: RegExp): RegExp {
  return isRegExp(pattern) ? new RegExp(`^(?:${pattern.source})$`, pattern.flags) : pattern;
}

function overCapacity(given: BillingOptions['overCapacity'], faults: string[]): Settings['overCapacity'] {
  if (given === false) return null;
  const chosen = given ?? {};
  if (typeof chosen !== 'object')
    faults.push(
      'overCapacity: is not an object. Leave it out for the defaults, or say false to turn it off.',
    );
  const defaultPolicy = chosen.defaultPolicy ?? 'newest_first';
  if (!SELECTION_POLICIES.includes(defaultPolicy)) {
    faults.push(`overCapacity.defaultPolicy: is unknown. Use one of ${SELECTION_POLICIES.join(', ')}.`);
  }
  return { ...numbers(chosen, OVER_CAPACITY_NUMBERS, 'overCapacity.', faults), defaultPolicy };
}

function lifecycle(given: BillingOptions['lifecycle'], faults: string[]): Settings['lifecycle'] {
  if (given == null) return null;
  const { suspend, restore, remove = null } = given;
  if (typeof suspend !== 'function' || typeof restore !== 'function') {
    faults.push(
      'lifecycle: lacks suspend or restore. Give both: what is switched off must be switched on again.',
    );
  }
  if (remove !== null && typeof remove !== 'function') {
    faults.push('lifecycle.remove: is not a function. Leave it out to have nothing removed.');
  }
  return {
    ...numbers(given, LIFECYCLE_NUMBERS, 'lifecycle.', faults),
    // Called as methods of the given object, which may be a class instance.
    suspend: (request) => given.suspend(request),
    restore: (request) => given.restore(request),
    remove: remove === null ? null : (request) => given.remove?.(request),
  };
}

function thresholds(given: readonly number[], faults: string[]): readonly number[] {
  if (
    !Array.isArray(given) ||
    given.some((percent) => !Number.isInteger(percent) || percent < 1 || percent > 100)
  ) {
    faults.push('usageThresholds: must be whole percentages from 1 to 100. Leave it out for 80 and 100.');
    return [];
  }
  return [...new Set(given)].sort((a, b) => a - b);
}

function numbers<N extends string>(
  given: { readonly [P in NoInfer<N>]?: unknown },
  table: Readonly<Record<N, readonly [number, number, number]>>,
  prefix: string,
  faults: string[],
): Record<N, number> {
  const resolved = {} as Record<N, number>;
  for (const name of Object.keys(table) as N[]) {
    const [standard, least, most] = table[name];
    const value = given[name] ?? standard;
    if (typeof value !== 'number' || !Number.isSafeInteger(value) || value < least || value > most) {
      faults.push(
        `${prefix}${name}: must be a whole number from ${least} to ${most}. The default is ${standard}.`,
      );
    } else {
      resolved[name] = value;
    }
  }
  return resolved;
}

function texts(name: string, given: readonly string[], faults: string[]): readonly string[] {
  if (!Array.isArray(given) || given.some((text) => typeof text !== 'string' || text === '')) {
    faults.push(`${name}: must be a list of texts. Leave it out for the default.`);
    return [];
  }
  return [...given];
}

function origins(name: string, given: readonly string[], faults: string[]): readonly string[] {
  return texts(name, given, faults).filter((text) => {
    const url = URL.canParse(text) ? new URL(text) : null;
    const isSafe =
      url?.protocol === 'https:' || (url?.protocol === 'http:' && LOOPBACK_HOSTS.has(url.hostname));
    if (url === null || url.origin !== text || !isSafe) {
      faults.push(
        `${name}: "${text}" is not an origin. Write https://host or https://host:port; http only for loopback hosts.`,
      );
      return false;
    }
    return true;
  });
}
