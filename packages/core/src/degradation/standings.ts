import { isPending } from '../is-pending.ts';
import { keepNewest } from '../keep-newest.ts';
import { checkOrgId } from '../org/org-id.ts';
import type { Wiring } from '../wiring.ts';
import type { Evaluations } from './evaluations.ts';
import { type StageAt, stageAt } from './stage-at.ts';

/** An org's stage and level, looked up cheaply. */
export interface Standings {
  /**
   * The org's stage and level now, on a spell read at most `limitsTtlMs` ago; `none` when the lifecycle is off.
   *
   * @throws TollgateError `invalid_org_id`, `quota_unavailable`, `repository_unavailable`
   */
  of(org: string): Promise<StageAt>;
}

interface Spell {
  readonly overCapacityAt: number | null;
  /** By how much the repository's clock is behind this process's, ms; 0 if it is ahead. */
  readonly behindMs: number;
  readonly readAt: number;
}

/** Most spells kept; beyond it, the one read longest ago is evicted. */
const MAX_SPELLS = 10_000;

export function createStandings(
  wiring: Pick<Wiring, 'settings' | 'repository' | 'clock'>,
  evaluations: Evaluations,
): Standings {
  const { settings, repository, clock } = wiring;
  const { overCapacity } = settings;
  const spells = new Map<string, Promise<Spell> | Spell>();

  async function read(org: string): Promise<Spell> {
    const readAt = clock.now();
    const stored = await repository.loadDegradation(org);
    const behindMs = Math.max(0, readAt - stored.readAt);
    const { overCapacityAt } = stored;
    // Most orgs are within their limits. Only the others are counted, and only if something has changed are all their rows read.
    const isStored =
      overCapacityAt === null ||
      (stageOf({ overCapacityAt, behindMs }).stage === stored.stage && (await evaluations.isOver(org)));
    if (isStored) return { overCapacityAt, behindMs, readAt };
    const { report } = await evaluations.evaluate(org, { lookAt: 'now', use: null });
    return { overCapacityAt: report.overCapacityAt, behindMs, readAt };
  }

  function stageOf({ overCapacityAt, behindMs }: Omit<Spell, 'readAt'>): StageAt {
    const { warnedMs, degradedMs } = overCapacity ?? { warnedMs: 0, degradedMs: 0 };
    return stageAt({ overCapacityAt, now: clock.now() - behindMs, warnedMs, degradedMs });
  }

  function spellOf(org: string): Promise<Spell> | Spell {
    const known = spells.get(org);
    if (isPending(known)) return known;
    if (known !== undefined) {
      const ageMs = clock.now() - known.readAt;
      if (ageMs >= 0 && ageMs < settings.limitsTtlMs) return known;
    }
    const reading = read(org);
    keepNewest(spells, org, reading, MAX_SPELLS);
    reading.then(
      (spell) => keepNewest(spells, org, spell, MAX_SPELLS),
      () => spells.delete(org),
    );
    return reading;
  }

  return {
    async of(org) {
      checkOrgId(org, settings.orgIdPattern);
      if (overCapacity === null) return { stage: 'none', level: 0 };
      return stageOf(await spellOf(org));
    },
  };
}
