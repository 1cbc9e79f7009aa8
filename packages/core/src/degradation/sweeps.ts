import { describeFailure } from '../errors/describe-failure.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import { isOrgId } from '../org/org-id.ts';
import type { OrgViews } from '../org/org-views.ts';
import { outsideRequests } from '../outside-requests.ts';
import type { SweepClaim } from '../ports/sweep-list.ts';
import { warnSometimes } from '../warn-sometimes.ts';
import type { Wiring } from '../wiring.ts';
import type { Evaluations } from './evaluations.ts';
import { createLookAtOrg, type LookAtOrg } from './look-at-org.ts';
import { type ActionTally, claimLeaseMs, type SyncOrg } from './row-actions.ts';

/** What one sweep did. */
export interface SweepResult extends ActionTally {
  /** Orgs looked at. */
  readonly orgs: number;
  /** Orgs that could not be looked at, or not completely; they are due again. */
  readonly orgsFailed: number;
}

export interface SweepRequest {
  /** More orgs to look at: those whose rows may have bypassed the guards, or after limits in the catalog were lowered. */
  readonly orgs?: Iterable<string> | AsyncIterable<string>;
  /** Ends the sweep before its next action; what is left stays due. */
  readonly signal?: AbortSignal;
}

export interface Sweeper {
  /** Stops sweeping; resolves once the work in progress has ended. */
  stop(): Promise<void>;
}

/** Applies the lifecycle to the orgs that are due. Any number of processes may sweep at once. */
export interface Sweeps {
  /**
   * Looks at every org that is due now, the longest due first, in bounded batches. An org that fails is logged, counted and due again; it
   * does not stop the others.
   *
   * @throws TollgateError `invalid_request` if `orgs` is not a list, `repository_unavailable` if the list of due orgs cannot be read
   */
  sweep(request?: SweepRequest): Promise<SweepResult>;
  /**
   * Sweeps immediately, and then `everyMs` after the end of each sweep, until stopped. A failed sweep is logged.
   *
   * @throws TollgateError `invalid_configuration` for an interval that a timer cannot keep
   */
  startSweeper(options: { readonly everyMs: number }): Sweeper;
  /** Looks at one org, due or not, unless a sweeper holds it. */
  lookAt(org: string): Promise<void>;
  /** Ends every sweep before its next action; resolves once the work in progress has ended. */
  close(): Promise<void>;
}

/** Orgs claimed at once, and orgs processed concurrently. */
const BATCH = 32;
const CONCURRENCY = 8;
/** The shortest time that a sweeper gives the actions of one org before it turns to the others, ms. */
const ACT_MS = 60_000;
/** Orgs put on the list in one write. */
const WATCH_BATCH = 500;
/** A timer fires immediately for any longer delay. */
const MAX_TIMER_MS = 2_147_483_647;

const TO_THE_END = { lookAgainMs: 0, actForMs: Number.POSITIVE_INFINITY };
const NOTHING: SweepResult = { orgs: 0, orgsFailed: 0, suspended: 0, restored: 0, removed: 0, failed: 0 };

export function createSweeps(
  wiring: Pick<
    Wiring,
    'catalog' | 'settings' | 'repository' | 'inventory' | 'clock' | 'ids' | 'logger' | 'telemetry'
  >,
  services: {
    readonly evaluations: Evaluations;
    readonly orgViews: Pick<OrgViews, 'fresh' | 'drop'>;
    readonly sync: SyncOrg;
  },
): Sweeps {
  const { repository, settings, logger, telemetry } = wiring;
  const lookAtOrg = createLookAtOrg(wiring, services);
  const leaseMs = claimLeaseMs(settings);
  let isClosed = false;
  const sweepers = new Set<Sweeper>();
  /** Sweeps that the host started by `sweep`. */
  const underWay = new Set<Promise<SweepResult>>();

  async function look(claim: SweepClaim, options: Parameters<LookAtOrg>[1]): Promise<SweepResult> {
    try {
      const tally = await lookAtOrg(claim, options);
      telemetry.count('tollgate.sweep.orgs', 1, { outcome: 'done' });
      return { ...tally, orgs: 1, orgsFailed: 0 };
    } catch (error) {
      telemetry.count('tollgate.sweep.orgs', 1, { outcome: 'failed' });
      warnSometimes(logger, 'An org could not be swept. It is due again.', {
        org: claim.org,
        ...describeFailure(error),
      });
      return { ...NOTHING, orgs: 1, orgsFailed: 1 };
    }
  }

  /** Renews the claims in `held` until the work ends, however long they wait for their turn or for the host. */
  async function whileHeld(held: ReadonlySet<SweepClaim>, work: () => Promise<unknown>): Promise<void> {
    const renew = (claim: SweepClaim) =>
      repository.saveRowActions({ ...claim, leaseMs, save: [], forget: [] }).catch(() => false);
    const timer = setInterval(() => held.forEach(renew), leaseMs / 3).unref();
    try {
      await work();
    } finally {
      clearInterval(timer);
    }
  }

  /** Yields what is due, longest due first. Claims the next batch only when a lane is free, so that one slow org holds up no other. */
  async function* claimDue(held: Set<SweepClaim>, shouldStop: () => boolean) {
    let dueAt: number | null = null;
    while (!shouldStop()) {
      const { now, claims } = await repository.claimSweeps({ org: null, dueAt, limit: BATCH, leaseMs });
      // What becomes due during the sweep is left to the next one, so that this one ends.
      dueAt ??= now;
      if (claims.length === 0) return;
      for (const claim of claims) held.add(claim);
      for (const claim of claims) yield { claim, now, claimedAt: Math.max(now, dueAt) };
    }
  }

  async function run(
    request: SweepRequest,
    {
      lookAgainMs,
      actForMs,
      isStopped,
    }: { readonly lookAgainMs: number; readonly actForMs: number; readonly isStopped: () => boolean },
  ): Promise<SweepResult> {
    const shouldStop = () => isClosed || isStopped() || request.signal?.aborted === true;
    if (request.orgs !== undefined) await watch(request.orgs);
    let result = NOTHING;
    const held = new Set<SweepClaim>();
    const due = claimDue(held, shouldStop);
    const lane = async () => {
      for await (const { claim, now, claimedAt } of due) {
        if (shouldStop()) await giveBack(claim, now);
        else {
          const looked = await look(claim, { claimedAt, lookAgainMs, actForMs, shouldStop });
          result = sum(result, looked);
        }
        held.delete(claim);
      }
    };
    await whileHeld(held, async () => {
      const ends = await Promise.allSettled(Array.from({ length: CONCURRENCY }, lane));
      for (const end of ends) if (end.status === 'rejected') throw end.reason;
    });
    return result;
  }

  async function giveBack(claim: SweepClaim, lookAt: number): Promise<void> {
    await repository.finishSweep({ ...claim, lookAt }).catch(() => false);
  }

  async function watch(orgs: NonNullable<SweepRequest['orgs']>): Promise<void> {
    checkList(orgs);
    let batch: string[] = [];
    // A string by itself would be iterated letter by letter.
    for await (const org of typeof orgs === 'string' ? [orgs] : orgs) {
      if (!isOrgId(org, settings.orgIdPattern)) {
        logger.warn('An org id given to sweep is not valid. It is left out.');
        continue;
      }
      batch.push(org);
      if (batch.length === WATCH_BATCH) {
        await repository.watchOrgs({ orgs: batch });
        batch = [];
      }
    }
    if (batch.length > 0) await repository.watchOrgs({ orgs: batch });
  }

  async function lookAtOne(org: string): Promise<void> {
    const { now, claims } = await repository.claimSweeps({ org, dueAt: null, limit: 1, leaseMs });
    const options = { ...TO_THE_END, claimedAt: now, shouldStop: () => isClosed };
    for (const claim of claims) await whileHeld(new Set([claim]), () => look(claim, options));
  }

  return {
    sweep(request = {}) {
      const sweeping = run(request, { ...TO_THE_END, isStopped: () => false }).finally(() =>
        underWay.delete(sweeping),
      );
      underWay.add(sweeping);
      return sweeping;
    },

    startSweeper({ everyMs }) {
      if (!Number.isInteger(everyMs) || everyMs < 1 || everyMs > MAX_TIMER_MS) {
        throw new TollgateError('invalid_configuration', {
          message: `startSweeper: everyMs must be a whole number from 1 to ${MAX_TIMER_MS}.`,
        });
      }
      let isStopped = false;
      let timer: NodeJS.Timeout | undefined;
      let sweeping: Promise<void> = Promise.resolve();
      const again = () => {
        sweeping = run(
          {},
          {
            lookAgainMs: Math.floor(everyMs / 2),
            actForMs: Math.max(everyMs, ACT_MS),
            isStopped: () => isStopped,
          },
        )
          .then(() => undefined)
          .catch((error: unknown) => logger.warn('A sweep failed.', describeFailure(error)))
          .finally(() => {
            if (!isStopped) timer = setTimeout(again, everyMs).unref();
          });
      };
      outsideRequests(again);
      const sweeper: Sweeper = {
        async stop() {
          isStopped = true;
          clearTimeout(timer);
          sweepers.delete(sweeper);
          await sweeping;
        },
      };
      sweepers.add(sweeper);
      return sweeper;
    },

    lookAt: lookAtOne,

    async close() {
      isClosed = true;
      const ending = [...sweepers].map((sweeper) => sweeper.stop());
      await Promise.allSettled([...ending, ...underWay]);
    },
  };
}

function checkList(orgs: unknown): void {
  const list = Object(orgs);
  if (Symbol.iterator in list || Symbol.asyncIterator in list) return;
  throw new TollgateError('invalid_request', { message: 'sweep: `orgs` must be a list of org ids.' });
}

function sum(a: SweepResult, b: SweepResult): SweepResult {
  return {
    orgs: a.orgs + b.orgs,
    orgsFailed: a.orgsFailed + b.orgsFailed,
    suspended: a.suspended + b.suspended,
    restored: a.restored + b.restored,
    removed: a.removed + b.removed,
    failed: a.failed + b.failed,
  };
}
