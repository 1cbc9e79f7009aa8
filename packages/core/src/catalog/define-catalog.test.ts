import { describe, expect, it } from 'vitest';
import { TollgateError } from '../errors/tollgate-error.ts';
import { defineCatalog } from './define-catalog.ts';
import { openAppQuotas } from './openapp.ts';
import { capacity, metered, type QuotaRegistry } from './quota.ts';
import type { TierDefinition } from './tier.ts';

const free: TierDefinition = {
  slug: 'free',
  name: 'Free',
  isDefaultForPersonal: true,
  sortOrder: 1,
  limits: { devices: 3 },
};

function faultsOf(quotas: QuotaRegistry, tiers: readonly TierDefinition[]): readonly string[] {
  const faults: string[] = [];
  defineCatalog(quotas, tiers, faults);
  return faults;
}

describe('defineCatalog', () => {
  it('takes the whole OpenApp preset without a fault', () => {
    expect(faultsOf(openAppQuotas, [free])).toEqual([]);
  });

  it('gives a key that a tier does not list the limit 0, in every period', () => {
    const catalog = defineCatalog(openAppQuotas, [free], []);
    expect(catalog.limit(catalog.defaultTier, 'zones', 'lifetime')).toBe(0);
    expect(catalog.limit(catalog.defaultTier, 'ai_requests', 'month')).toBe(0);
    expect(catalog.limit(catalog.defaultTier, 'devices', 'lifetime')).toBe(3);
  });

  it('leaves the periods a tier does not name unlimited by that tier, for a key it lists', () => {
    const catalog = defineCatalog(openAppQuotas, [{ ...free, limits: { door_opens: { day: 20 } } }], []);
    expect(catalog.limit(catalog.defaultTier, 'door_opens', 'day')).toBe(20);
    expect(catalog.limit(catalog.defaultTier, 'door_opens', 'month')).toBeUndefined();
  });

  it('takes one value for all periods of a key, and unlimited as null', () => {
    const catalog = defineCatalog(openAppQuotas, [{ ...free, limits: { door_opens: 'unlimited' } }], []);
    expect(catalog.limit(catalog.defaultTier, 'door_opens', 'day')).toBeNull();
    expect(catalog.limit(catalog.defaultTier, 'door_opens', 'month')).toBeNull();
  });

  it.each<[string, QuotaRegistry, readonly TierDefinition[], RegExp]>([
    ['no keys', {}, [free], /no quota key/],
    [
      'a misspelt key',
      { devices: capacity() },
      [{ ...free, limits: { devcies: 1 } }],
      /unknown key "devcies"/,
    ],
    [
      'a negative limit',
      { devices: capacity() },
      [{ ...free, limits: { devices: -1 } }],
      /devices\.lifetime: -1 is not a limit/,
    ],
    [
      'a broken limit',
      { devices: capacity() },
      [{ ...free, limits: { devices: 1.5 } }],
      /1\.5 is not a limit/,
    ],
    ['NaN', { devices: capacity() }, [{ ...free, limits: { devices: Number.NaN } }], /is not a limit/],
    [
      'a limit beyond 2^53-1',
      { devices: capacity() },
      [{ ...free, limits: { devices: 2 ** 53 } }],
      /is not a limit/,
    ],
    [
      'two tiers of one slug',
      { devices: capacity() },
      [free, { ...free, isDefaultForPersonal: false }],
      /two tiers have the slug "free"/,
    ],
    [
      'no default tier',
      { devices: capacity() },
      [{ ...free, isDefaultForPersonal: false }],
      /0 tiers are marked/,
    ],
    ['two default tiers', { devices: capacity() }, [free, { ...free, slug: 'pro' }], /2 tiers are marked/],
    ['an odd slug', { devices: capacity() }, [{ ...free, slug: 'Pro Plan' }], /"Pro Plan" is not valid/],
    [
      'a foreign period',
      { devices: capacity() },
      [{ ...free, limits: { devices: { day: 1 } } }],
      /not counted by day/,
    ],
    [
      'a capacity key by day',
      { devices: { ...capacity(), periods: ['day'] } },
      [free],
      /capacity keys cannot have the period day/,
    ],
    ['a metered key without a period', { devices: metered({ periods: [] }) }, [free], /has no period/],
    ['an odd key', { 'Devices!': capacity() }, [{ ...free, limits: {} }], /quota key is 1 to 64/],
    // As a database without booleans has it: clients would get `is_published: 1`.
    [
      'a number for isPublished',
      { devices: capacity() },
      [{ ...free, isPublished: 1 as never }],
      /isPublished must/,
    ],
    [
      'a text for isDefaultForPersonal',
      { devices: capacity() },
      [{ ...free, isDefaultForPersonal: 'no' as never }],
      /isDefaultForPersonal must/,
    ],
    ['a sort order that is no int32', { devices: capacity() }, [{ ...free, sortOrder: 2 ** 31 }], /32 bits/],
  ])('names %s with its cure', (_what, quotas, tiers, fault) => {
    const faults = faultsOf(quotas, tiers);
    expect(faults.join('\n')).toMatch(fault);
    for (const text of faults) expect(text, 'a fault ends with what to do').toMatch(/\. .+\.$/);
  });

  it('names all faults at once', () => {
    const broken = { ...free, slug: '', sortOrder: 0.5, limits: { devices: -1, nothing: 1 } };
    expect(faultsOf({ devices: capacity() }, [broken]).length).toBeGreaterThanOrEqual(4);
  });
});

describe('capacity and metered', () => {
  it.each([
    ['a text', () => capacity('devices' as never), /^capacity: takes an object/],
    ['a limit', () => capacity(5 as never), /^capacity: takes an object/],
    ['null', () => capacity(null as never), /^capacity: takes an object/],
    ['a misspelt option', () => capacity({ windsdown: false } as never), /windsdown: is not an option/],
    ['no boolean', () => capacity({ windsDown: 'no' } as never), /windsDown: is neither true nor false/],
    ['a period by itself', () => metered('day' as never), /^metered: takes an object/],
    [
      'a misspelt unit',
      () => metered({ periods: ['day'], units: 'seconds' } as never),
      /units: is not an option/,
    ],
  ])('refuse %s, which would leave a default in force', (_what, make, fault) => {
    expect(make).toThrow(fault);
    expect(make).toThrow(TollgateError);
  });
});
