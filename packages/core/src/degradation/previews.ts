import { TollgateError } from '../errors/tollgate-error.ts';
import { resolveLimit } from '../org/limits.ts';
import { checkOrgId } from '../org/org-id.ts';
import type { SelectionPolicy } from '../ports/billing-repository.ts';
import type { InventoryRow } from '../ports/resource-inventory.ts';
import type { Wiring } from '../wiring.ts';
import type { ExactUsage } from './evaluations.ts';
import { listRows } from './list-rows.ts';
import { overagesOf } from './overages-of.ts';
import { selectRows } from './select-rows.ts';
import type { Overage } from './types.ts';

export interface PreviewRequest {
  readonly org: string;
  /** The slug of the tier the org would move to. */
  readonly tier: string;
  /** When it would move, epoch ms. @default now */
  readonly at?: number;
}

/** What would happen to the rows of one key, by their ids. */
export interface PreviewKey extends Overage {
  /** In the order in which they would be wound down; empty for a key that is never wound down. */
  readonly flagged: readonly string[];
  /** The others, in the order in which the host lists them; empty for a key that is never wound down. */
  readonly kept: readonly string[];
}

/** What a change of tier would do to an org if its rows stayed as they are. Instants are epoch ms. */
export interface Preview {
  readonly org: string;
  readonly tier: string;
  readonly at: number;
  readonly policy: SelectionPolicy;
  /** The keys that would be above their limit. */
  readonly keys: readonly PreviewKey[];
  /** Null if the org would be within its limits, or the lifecycle is off. */
  readonly timeline: {
    readonly warnedAt: number;
    /** When rows are flagged: at once, or at the end of the warned stage under `manual`. */
    readonly flaggedAt: number;
    readonly degradedAt: number;
    readonly markedAt: number;
  } | null;
}

/** Predicts what a change of tier would do, without changing anything. */
export interface Previews {
  /** @throws TollgateError `invalid_org_id`, `unknown_tier`, `quota_unavailable`, `repository_unavailable` */
  preview(request: PreviewRequest): Promise<Preview>;
}

export function createPreviews(
  wiring: Pick<Wiring, 'catalog' | 'settings' | 'repository' | 'inventory' | 'clock'>,
  usage: ExactUsage,
): Previews {
  const { catalog, settings, repository, inventory, clock } = wiring;
  const { overCapacity } = settings;

  async function partition(
    org: string,
    overage: Overage,
    policy: SelectionPolicy,
    pinned: ReadonlySet<string>,
  ) {
    const { key, excess, limit } = overage;
    if (catalog.quota(key)?.windsDown !== true || overCapacity === null)
      return { ...overage, flagged: [], kept: [] };
    const rows: InventoryRow[] = [];
    for await (const row of listRows(inventory, { org, key, timeoutMs: settings.inventoryTimeoutMs }))
      rows.push(row);
    const selection = { excess, keepAtLeast: limit, policy, pinned, stage: 'degraded' } as const;
    const flagged = await selectRows(rows, selection);
    const isFlagged = new Set(flagged);
    return { ...overage, flagged, kept: rows.map(({ id }) => id).filter((id) => !isFlagged.has(id)) };
  }

  return {
    async preview(request) {
      const org = checkOrgId(request.org, settings.orgIdPattern);
      const tier = catalog.tier(request.tier);
      if (tier === undefined) throw new TollgateError('unknown_tier');
      const at = request.at ?? clock.now();
      const { items } = await usage(org, { maxCountAgeMs: -1 });
      const { overrides } = await repository.loadOrg(org);
      const stored = await repository.loadDegradation(org);
      const policy = stored.policy ?? overCapacity?.defaultPolicy ?? 'newest_first';
      const thereafter = items.flatMap((item) => {
        const limit = resolveLimit(item.key, item.period, overrides, { tier, isDefault: false }, catalog, at);
        return limit === null ? [] : [{ ...item, limit }];
      });
      const keys: PreviewKey[] = [];
      for (const overage of overagesOf(thereafter, catalog)) {
        const pinned = stored.pins.filter(({ resource }) => resource === overage.key).map(({ id }) => id);
        keys.push(await partition(org, overage, policy, new Set(pinned)));
      }
      return {
        org,
        tier: tier.slug,
        at,
        policy,
        keys,
        timeline: timelineOf(keys.length > 0, stored.overCapacityAt, at, policy),
      };
    },
  };

  function timelineOf(
    isOver: boolean,
    since: number | null,
    at: number,
    policy: SelectionPolicy,
  ): Preview['timeline'] {
    if (!isOver || overCapacity === null) return null;
    // An org that is already over capacity stays in its current spell.
    const warnedAt = Math.min(since ?? at, at);
    const degradedAt = warnedAt + overCapacity.warnedMs;
    const flaggedAt = policy === 'manual' ? Math.max(degradedAt, at) : at;
    return { warnedAt, flaggedAt, degradedAt, markedAt: degradedAt + overCapacity.degradedMs };
  }
}
