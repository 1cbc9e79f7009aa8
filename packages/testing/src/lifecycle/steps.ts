import type { SelectionPolicy } from '@tollgate/core';
import fc from 'fast-check';

export const ORGS = ['acme', 'globex'] as const;
export type OrgName = (typeof ORGS)[number];
/** `org_users` is never wound down. */
export const KEYS = ['devices', 'zones', 'org_users'] as const;
export type KeyName = (typeof KEYS)[number];
/** One of two processes. */
export type Who = 0 | 1;

/** One step in the life of two orgs and two processes. Durations are in ms. */
export type LifecycleStep =
  | {
      readonly do: 'limit';
      readonly org: OrgName;
      readonly key: KeyName;
      readonly limit: number;
      readonly forMs: number | null;
      readonly by: Who;
    }
  | {
      readonly do: 'create';
      readonly org: OrgName;
      readonly key: KeyName;
      readonly rows: number;
      readonly usedAgoMs: number | null;
    }
  | { readonly do: 'delete'; readonly org: OrgName; readonly key: KeyName; readonly nth: number }
  | { readonly do: 'policy'; readonly org: OrgName; readonly policy: SelectionPolicy; readonly by: Who }
  | {
      readonly do: 'keep';
      readonly org: OrgName;
      readonly key: KeyName;
      readonly nth: number;
      readonly keep: boolean;
      readonly by: Who;
    }
  | { readonly do: 'look'; readonly org: OrgName; readonly by: Who }
  /** With `diesAfter`, the process dies on that call to the repository or a callback; with `isHeard`, the call still takes effect. */
  | {
      readonly do: 'sweep';
      readonly by: Who;
      readonly diesAfter: number | null;
      readonly isHeard: boolean;
      /** Time that passes before the sweep, for instance from one look to the next. */
      readonly afterMs: number;
      /** The org's owner deletes a row after this many of the host's actions in the sweep. */
      readonly meddlesAt: number | null;
    }
  /** The clocks are corrected, then both processes sweep at once. */
  | { readonly do: 'race' }
  | { readonly do: 'pass'; readonly ms: number }
  /** From now on one clock is wrong by `ms`, and the others are right. */
  | { readonly do: 'skew'; readonly whose: Who | 'repository'; readonly ms: number };

export interface LifecycleHistory {
  readonly steps: readonly LifecycleStep[];
  /** Whether the host removes marked rows. */
  readonly removes: boolean;
  /** Whether all limits are lifted at the end, so that every row must come back. */
  readonly endsUnlimited: boolean;
}

const HOUR = 3_600_000;
const DAY = 24 * HOUR;

const org = fc.constantFrom(...ORGS);
const key = fc.constantFrom(...KEYS, 'devices', 'devices');
const by = fc.constantFrom<Who>(0, 1);
const nth = fc.nat(9);

function step<D extends LifecycleStep['do']>(
  name: D,
  parts: {
    readonly [P in Exclude<keyof Extract<LifecycleStep, { do: D }>, 'do'>]: fc.Arbitrary<
      Extract<LifecycleStep, { do: D }>[P]
    >;
  },
): fc.Arbitrary<LifecycleStep> {
  return fc.record({ do: fc.constant(name), ...parts }) as unknown as fc.Arbitrary<LifecycleStep>;
}

const limit = step('limit', {
  org,
  key,
  limit: fc.constantFrom(-1, 0, 1, 2, 3, 4),
  forMs: fc.option(fc.constantFrom(HOUR, DAY, 20 * DAY), { freq: 3 }),
  by,
});
const create = step('create', {
  org,
  key,
  rows: fc.integer({ min: 1, max: 4 }),
  usedAgoMs: fc.option(fc.integer({ min: 0, max: 9 * DAY })),
});
const remove = step('delete', { org, key, nth });
const policies = ['newest_first', 'oldest_first', 'least_recently_used', 'manual'] as const;
const policy = step('policy', { org, policy: fc.constantFrom(...policies), by });
const keep = step('keep', { org, key, nth, keep: fc.boolean(), by });
const look = step('look', { org, by });
const meddlesAt = fc.option(fc.integer({ min: 1, max: 3 }), { freq: 2 });
const afterMs = fc.constantFrom(0, 1_800_000, HOUR, HOUR);
const sweep = step('sweep', {
  by,
  diesAfter: fc.constant(null),
  isHeard: fc.constant(true),
  afterMs,
  meddlesAt,
});
const crash = step('sweep', {
  by,
  diesAfter: fc.integer({ min: 1, max: 40 }),
  isHeard: fc.boolean(),
  afterMs,
  meddlesAt,
});
const pass = step('pass', { ms: fc.constantFrom(60_000, HOUR, HOUR, DAY, 5 * DAY, 13 * DAY) });
const skew = step('skew', {
  whose: fc.constantFrom<Who | 'repository'>(0, 1, 'repository'),
  ms: fc.constantFrom(-DAY, -600_000, 0, 600_000, DAY),
});

/** Histories of months: rows come and go, limits change, admins choose, sweeps run and die, clocks jump. @default length up to 60 */
export function lifecycleHistories(length = 60): fc.Arbitrary<LifecycleHistory> {
  const any = fc.oneof(
    { arbitrary: create, weight: 6 },
    { arbitrary: limit, weight: 3 },
    { arbitrary: remove, weight: 2 },
    { arbitrary: policy, weight: 1 },
    { arbitrary: keep, weight: 2 },
    { arbitrary: look, weight: 2 },
    { arbitrary: sweep, weight: 9 },
    { arbitrary: crash, weight: 5 },
    { arbitrary: fc.constant<LifecycleStep>({ do: 'race' }), weight: 2 },
    { arbitrary: pass, weight: 8 },
    { arbitrary: skew, weight: 1 },
  );
  return fc.record({
    steps: fc.array(any, { maxLength: length, size: 'max' }),
    removes: fc.boolean(),
    endsUnlimited: fc.boolean(),
  });
}
