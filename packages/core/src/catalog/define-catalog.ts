import type { Catalog } from './catalog.ts';
import {
  capacity,
  QUOTA_PERIODS,
  QUOTA_UNITS,
  type QuotaDefinition,
  type QuotaPeriod,
  type QuotaRegistry,
} from './quota.ts';
import type { LimitValue, Tier, TierDefinition, TierQuota } from './tier.ts';

const KEY_PATTERN = /^[a-z][a-z0-9_]{0,63}$/;
const SLUG_PATTERN = /^[a-z0-9][a-z0-9_-]{0,63}$/;
const INT32_MAX = 2_147_483_647;

/**
 * Checks the host's quota keys and tiers, and builds the catalog from them. Adds every fault to `faults`, each with its cure; the
 * returned catalog is only usable if there are none.
 */
export function defineCatalog(
  quotas: QuotaRegistry,
  tiers: readonly TierDefinition[],
  faults: string[],
): Catalog {
  const registry = new Map<string, QuotaDefinition>();
  for (const [key, quota] of Object.entries(quotas)) {
    // An invalid key is reported once; the tiers that limit it are then checked as if it were a plain count.
    registry.set(key, checkQuota(key, quota, faults) ? quota : capacity());
  }
  if (registry.size === 0)
    faults.push('quotas: there is no quota key. Add at least one, such as `devices: capacity()`.');

  if (!Array.isArray(tiers)) faults.push('tiers: is not a list. Pass an array of tiers.');
  const bySlug = new Map<string, Tier>();
  for (const definition of Array.isArray(tiers) ? tiers : []) {
    if (definition === null || typeof definition !== 'object') {
      faults.push(
        `tiers: ${JSON.stringify(definition)} is not a tier. Give each an object with slug, name, sortOrder and limits.`,
      );
      continue;
    }
    if (bySlug.has(definition.slug)) {
      faults.push(`tiers: two tiers have the slug "${definition.slug}". Give each tier a slug of its own.`);
    }
    bySlug.set(definition.slug, checkTier(definition, registry, faults));
  }
  const sorted = [...bySlug.values()].sort((a, b) => a.sortOrder - b.sortOrder || (a.slug < b.slug ? -1 : 1));
  const defaults = sorted.filter((tier) => tier.isDefaultForPersonal);
  if (defaults.length !== 1) {
    faults.push(
      `tiers: ${defaults.length} tiers are marked isDefaultForPersonal. Mark exactly one: the plan of an org without a subscription.`,
    );
  }
  const limits = new Map(sorted.map((tier) => [tier.slug, limitsByKey(tier)]));
  const nowhere: Tier = {
    slug: '',
    name: '',
    description: null,
    isPublished: false,
    isDefaultForPersonal: true,
    sortOrder: 0,
    quotas: [],
  };

  return {
    keys: [...registry.keys()],
    quota: (key) => registry.get(key),
    tiers: sorted,
    tier: (slug) => bySlug.get(slug),
    defaultTier: defaults[0] ?? nowhere,
    limit: (tier, key, period) => {
      const periods = limits.get(tier.slug)?.get(key);
      return periods === undefined ? 0 : periods.get(period);
    },
  };
}

function checkQuota(key: string, quota: QuotaDefinition, faults: string[]): boolean {
  const at = `quotas.${key}`;
  if (!KEY_PATTERN.test(key))
    faults.push(`${at}: a quota key is 1 to 64 of a-z, 0-9 and _, starting with a letter. Rename it.`);
  if (quota === null || typeof quota !== 'object' || !Array.isArray(quota.periods)) {
    faults.push(`${at}: is not a quota. Define it with capacity() or metered({ periods }).`);
    return false;
  }
  if (!QUOTA_UNITS.includes(quota.unit))
    faults.push(`${at}: unit "${quota.unit}" is unknown. Use count or seconds.`);
  if (quota.periods.length === 0)
    faults.push(`${at}: has no period. Give metered() at least one, such as 'month'.`);
  if (new Set(quota.periods).size !== quota.periods.length)
    faults.push(`${at}: names a period twice. Name each once.`);
  for (const period of quota.periods) {
    if (!QUOTA_PERIODS.includes(period)) {
      faults.push(`${at}: period "${period}" is unknown. Use one of ${QUOTA_PERIODS.join(', ')}.`);
    } else if ((period === 'lifetime') !== (quota.kind === 'capacity')) {
      faults.push(
        `${at}: ${quota.kind} keys cannot have the period ${period}. Use capacity() for rows, metered() for events.`,
      );
    }
  }
  return true;
}

function checkTier(
  tier: TierDefinition,
  registry: ReadonlyMap<string, QuotaDefinition>,
  faults: string[],
): Tier {
  const at = `tiers.${tier.slug}`;
  if (typeof tier.slug !== 'string' || !SLUG_PATTERN.test(tier.slug)) {
    faults.push(
      `tiers: the slug ${JSON.stringify(tier.slug)} is not valid. Use 1 to 64 of a-z, 0-9, _ and -, and begin with a letter or a digit.`,
    );
  }
  if (!isText(tier.name)) faults.push(`${at}: name must be a text, or a text by language. Set it.`);
  if (tier.description != null && !isText(tier.description)) {
    faults.push(`${at}: description must be a text, or a text by language. Correct or omit it.`);
  }
  for (const name of ['isPublished', 'isDefaultForPersonal'] as const) {
    if (tier[name] != null && typeof tier[name] !== 'boolean')
      faults.push(`${at}: ${name} must be true or false. Correct or omit it.`);
  }
  if (!Number.isInteger(tier.sortOrder) || Math.abs(tier.sortOrder) > INT32_MAX) {
    faults.push(`${at}: sortOrder must be a whole number of 32 bits. Number the tiers 1, 2, 3.`);
  }
  if (tier.limits === null || typeof tier.limits !== 'object') {
    faults.push(`${at}: limits is missing. List the keys the plan allows, or write {} for nothing at all.`);
  }
  const quotas: TierQuota[] = [];
  for (const [key, value] of Object.entries(tier.limits ?? {})) {
    const quota = registry.get(key);
    if (quota === undefined) {
      faults.push(`${at}: limits the unknown key "${key}". Add the key to quotas, or correct its spelling.`);
    } else if (value !== undefined) {
      for (const [period, limit] of periodLimits(value, quota)) {
        checkLimit(`${at}.limits.${key}.${period}`, limit, quota, period, faults);
        quotas.push({ key, period, limit: limit === 'unlimited' ? null : limit });
      }
    }
  }
  const order = [...registry.keys()];
  quotas.sort((a, b) => order.indexOf(a.key) - order.indexOf(b.key));
  return {
    slug: tier.slug,
    name: tier.name,
    description: tier.description ?? null,
    isPublished: tier.isPublished ?? true,
    isDefaultForPersonal: tier.isDefaultForPersonal ?? false,
    sortOrder: tier.sortOrder,
    quotas,
  };
}

/** The limits by period; a single value applies to each of the key's periods. */
function periodLimits(
  value: LimitValue | { readonly [Q in QuotaPeriod]?: LimitValue },
  quota: QuotaDefinition,
): readonly (readonly [QuotaPeriod, LimitValue])[] {
  if (typeof value !== 'object' || value === null) return quota.periods.map((period) => [period, value]);
  return Object.entries(value) as [QuotaPeriod, LimitValue][];
}

function checkLimit(
  at: string,
  limit: LimitValue,
  quota: QuotaDefinition,
  period: QuotaPeriod,
  faults: string[],
): void {
  if (!quota.periods.includes(period)) {
    faults.push(`${at}: the key is not counted by ${period}. Use ${quota.periods.join(' or ')}.`);
  }
  if (limit !== 'unlimited' && (!Number.isSafeInteger(limit) || limit < 0)) {
    faults.push(`${at}: ${String(limit)} is not a limit. Use a whole number from 0, or 'unlimited'.`);
  }
}

function isText(value: unknown): boolean {
  if (typeof value === 'string') return value.length > 0;
  return (
    typeof value === 'object' &&
    value !== null &&
    Object.values(value).every((text) => typeof text === 'string')
  );
}

function limitsByKey(tier: Tier): ReadonlyMap<string, ReadonlyMap<QuotaPeriod, number | null>> {
  const byKey = new Map<string, Map<QuotaPeriod, number | null>>();
  for (const { key, period, limit } of tier.quotas) {
    const periods = byKey.get(key) ?? new Map<QuotaPeriod, number | null>();
    byKey.set(key, periods.set(period, limit));
  }
  return byKey;
}
