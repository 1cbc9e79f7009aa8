import { describe, expect, it } from 'vitest';
import { capacity, metered, type QuotaDefinition } from '../catalog/quota.ts';
import type { QuotaUse } from '../quota/types.ts';
import { overagesOf } from './overages-of.ts';

const quotas: Readonly<Record<string, QuotaDefinition>> = {
  devices: capacity(),
  org_users: capacity({ windsDown: false }),
  door_opens: metered({ periods: ['day'] }),
};
const catalog = { quota: (key: string) => quotas[key] };

const use = (key: string, current: number, value: number | null): QuotaUse => ({
  key,
  period: quotas[key]?.periods[0] ?? 'lifetime',
  unit: 'count',
  window: { label: 'lifetime', startsAt: null, endsAt: null },
  current,
  limit: { value, source: { kind: 'default' } },
});

describe('overages', () => {
  it('are only above the limit: at the limit is within it', () => {
    expect(overagesOf([use('devices', 3, 3)], catalog)).toEqual([]);
    expect(overagesOf([use('devices', 4, 3)], catalog)).toEqual([
      { key: 'devices', unit: 'count', current: 4, limit: 3, excess: 1 },
    ]);
  });

  it('never come of an unlimited key', () => {
    expect(overagesOf([use('devices', 1_000_000, null)], catalog)).toEqual([]);
  });

  it('count a limit of 0 as a limit', () => {
    expect(overagesOf([use('devices', 2, 0)], catalog)).toMatchObject([{ limit: 0, excess: 2 }]);
  });

  it('include keys that are never wound down', () => {
    expect(overagesOf([use('org_users', 5, 2)], catalog)).toMatchObject([{ key: 'org_users', excess: 3 }]);
  });

  it('never come of a metered key above a lowered limit', () => {
    expect(overagesOf([use('door_opens', 50, 20)], catalog)).toEqual([]);
  });
});
