import type { Notices } from '../notices/notices.ts';
import type { OrgViews } from '../org/org-views.ts';
import type { Degradation, Flag, SelectionPolicy } from '../ports/billing-repository.ts';
import { countRows } from '../quota/count-rows.ts';
import type { QuotaUse, UsageReport } from '../quota/types.ts';
import type { Wiring } from '../wiring.ts';
import { announce } from './announce.ts';
import { type Judgement, judge } from './judge.ts';
import { listRows } from './list-rows.ts';
import { type ChosenRow, mergeFlags, rowName, sameFlags } from './merge-flags.ts';
import { overagesOf } from './overages-of.ts';
import { picksAnything, selectRows } from './select-rows.ts';
import { beginningAt } from './two-clocks.ts';
import type { DegradationReport, Overage } from './types.ts';

/** An org's state as just determined and stored. */
export interface Evaluation {
  readonly report: DegradationReport;
  /** The instant at which it was judged, epoch ms. */
  readonly now: number;
  /** The repository's clock when it was read. */
  readonly readAt: number;
  /** The version that is stored now; null if other writers kept this one from storing its result. */
  readonly version: number | null;
}

/** Brings the stored lifecycle of an org in line with its use. */
export interface Evaluations {
  /**
   * Counts, starts or ends the spell, picks the rows, and stores what differs. Concurrent evaluations of an org end in one state, and
   * a notice is sent by the one that stored the crossing. A spell begins or ends only by limits that are read afresh, since another
   * process may have changed them. It begins only if the host itself counts too many rows, since a create that ends during a recount
   * may be counted twice for a moment.
   *
   * @param options.use - the use for the first attempt; null counts as recently as a refusal requires, 'now' recounts.
   * @param options.lookAt - 'now' puts the org on the sweep's list if something was stored; 'unchanged' is for the sweep itself.
   * @throws TollgateError `quota_unavailable`, `repository_unavailable`
   */
  evaluate(
    org: string,
    options: { readonly lookAt: 'now' | 'unchanged'; readonly use: UsageReport | 'now' | null },
  ): Promise<Evaluation>;
  /**
   * Whether the org is over a limit, counted as recently as a refusal requires. Reads no rows and stores nothing.
   *
   * @throws TollgateError `quota_unavailable`, `repository_unavailable`
   */
  isOver(org: string): Promise<boolean>;
}

/** Returns an org's use; first recounts capacity keys whose count is older than `maxCountAgeMs`. */
export type ExactUsage = (org: string, options?: { readonly maxCountAgeMs?: number }) => Promise<UsageReport>;

/** What the lifecycle needs from the other services. */
export interface EvaluationServices {
  readonly usage: ExactUsage;
  readonly orgViews: Pick<OrgViews, 'fresh'>;
  readonly notices: Notices;
  /** Called after it is stored that rows which may be suspended are no longer picked. */
  readonly onFreed: (org: string) => void;
}

const MAX_ATTEMPTS = 5;

export function createEvaluations(
  wiring: Pick<Wiring, 'catalog' | 'settings' | 'repository' | 'inventory' | 'clock' | 'logger'>,
  services: EvaluationServices,
): Evaluations {
  const { catalog, settings, repository, inventory, clock, logger } = wiring;
  const lengths = settings.overCapacity ?? { warnedMs: 0, degradedMs: 0 };
  const defaultPolicy = settings.overCapacity?.defaultPolicy ?? 'newest_first';

  async function countUse(org: string, use: UsageReport | 'now' | null): Promise<readonly QuotaUse[]> {
    if (settings.overCapacity === null) return [];
    // Every count is older than -1 ms, even one of this very millisecond.
    const report =
      use === 'now' ? await services.usage(org, { maxCountAgeMs: -1 }) : (use ?? (await services.usage(org)));
    return report.items;
  }

  /** The overages against limits read afresh; none unless the host's own count is above one of them. */
  async function checkOverages(org: string, items: readonly QuotaUse[]): Promise<readonly Overage[]> {
    const view = await services.orgViews.fresh(org);
    const now = clock.now();
    const overages = overagesOf(
      items.map((item) => ({ ...item, limit: view.limit(item.key, item.period, now) ?? item.limit })),
      catalog,
    );
    for (const { key, limit } of overages) {
      if ((await countRows(wiring, org, key)) > limit) return overages;
    }
    return [];
  }

  async function pickRows(
    org: string,
    overages: readonly Overage[],
    stored: Degradation,
    { stage }: Judgement,
    policy: SelectionPolicy,
  ): Promise<readonly ChosenRow[]> {
    const chosen: ChosenRow[] = [];
    for (const { key, excess, limit } of overages) {
      if (catalog.quota(key)?.windsDown !== true || !picksAnything({ excess, policy, stage })) continue;
      const pinned = new Set(stored.pins.filter((pin) => pin.resource === key).map((pin) => pin.id));
      const rows = listRows(inventory, { org, key, timeoutMs: settings.inventoryTimeoutMs });
      const ids = await selectRows(rows, { excess, keepAtLeast: limit, policy, pinned, stage });
      for (const id of ids) chosen.push({ resource: key, id });
    }
    return chosen;
  }

  async function attempt(
    org: string,
    lookAt: 'now' | 'unchanged',
    use: UsageReport | 'now' | null,
  ): Promise<Evaluation> {
    const items = await countUse(org, use);
    const stored = await repository.loadDegradation(org);
    let overages = overagesOf(items, catalog);
    if (overages.length > 0 !== (stored.overCapacityAt !== null)) {
      overages = await checkOverages(org, items);
    }
    const clocks = { process: clock.now(), repository: stored.readAt };
    const overCapacity = overages.length > 0;
    const found = judge(stored, overCapacity, clocks, lengths);
    const policy = stored.policy ?? defaultPolicy;
    const chosen = await pickRows(org, overages, stored, found, policy);
    const flags = mergeFlags(stored.flags, chosen, found.stage, beginningAt(clocks));
    const { stage, level, overCapacityAt } = found;
    const report = { org, stage, level, overCapacity, overCapacityAt, policy, overages, flagged: flags };
    const answer = { report, now: found.now, readAt: stored.readAt };
    if (isStored(stored, found, flags)) return { ...answer, version: stored.version };

    const saved = await repository.saveDegradation({
      org,
      expectedVersion: stored.version,
      overCapacityAt,
      stage: found.furthest,
      flags,
      lookAt: lookAt === 'now' ? stored.readAt : null,
    });
    if (saved === 'conflict') return { ...answer, version: null };
    announce(services.notices, org, stored, found, overages);
    if (freesAny(stored.flags, flags)) services.onFreed(org);
    return { ...answer, version: stored.version + 1 };
  }

  return {
    isOver: async (org) => overagesOf(await countUse(org, null), catalog).length > 0,
    async evaluate(org, { lookAt, use }) {
      for (let attempts = 1; ; attempts += 1) {
        const evaluation = await attempt(org, lookAt, attempts === 1 || use === 'now' ? use : null);
        if (evaluation.version !== null) return evaluation;
        if (attempts === MAX_ATTEMPTS) {
          logger.warn('An org over capacity changed faster than it could be stored.', { org, attempts });
          return evaluation;
        }
      }
    },
  };
}

function freesAny(before: readonly Flag[], after: readonly Flag[]): boolean {
  const picked = new Set(after.filter(({ state }) => state !== 'flagged').map(rowName));
  return before.some((flag) => flag.state !== 'flagged' && !picked.has(rowName(flag)));
}

function isStored(stored: Degradation, found: Judgement, flags: readonly Flag[]): boolean {
  return (
    stored.overCapacityAt === found.overCapacityAt &&
    stored.stage === found.furthest &&
    sameFlags(stored.flags, flags)
  );
}
