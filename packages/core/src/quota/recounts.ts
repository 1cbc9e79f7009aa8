import type { Catalog } from '../catalog/catalog.ts';
import { describeFailure } from '../errors/describe-failure.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { CounterReading, CounterRef } from '../ports/counter-store.ts';
import { warnSometimes } from '../warn-sometimes.ts';
import type { Wiring } from '../wiring.ts';
import { countRows } from './count-rows.ts';

/** A counter to recount, and how long the store keeps it afterwards. */
export interface RecountTarget extends CounterRef {
  readonly forgetAt: number | null;
  /**
   * Called with the store's count when the recount begins. Another process may have counted since the caller looked, and counting
   * again would only count rows in the making twice. @default any count is too old
   */
  readonly isTooOld?: (reading: CounterReading) => boolean;
}

/** Sets counters from the truth: the host's inventory for capacity keys, the repository's last snapshot for metered ones. */
export interface Recounts {
  /**
   * Recounts, unless `isTooOld` says that the store's count is good enough. Calls for a counter that is already being counted join that
   * recount: a change reported to the store meanwhile makes it count once more, so the result covers the change.
   *
   * @throws TollgateError `quota_unavailable` if the source of truth or the store cannot be asked
   */
  run(org: string, targets: readonly RecountTarget[]): Promise<void>;
  /** As `run`, for the rows as they are from now on: a recount in progress may have counted already, and is not joined. */
  runAnew(org: string, targets: readonly RecountTarget[]): Promise<void>;
  /**
   * Counts only what the store has no count of when it is asked, since another process may have been faster. Returns, for each target,
   * whether the host's rows of this moment are certain to be in the store's count. @throws as `run`
   */
  fill(org: string, targets: readonly RecountTarget[]): Promise<readonly boolean[]>;
  /**
   * As `fill`, but only waits until every count was handed to the store. A store that keeps the order of one process's calls decides the
   * next call on these counts; any other store replies that it has no count yet. @throws as `run`, for what fails before that
   */
  fillAhead(org: string, targets: readonly RecountTarget[]): Promise<void>;
  /** As `run`, without waiting; a failure is logged. */
  runInBackground(org: string, targets: readonly RecountTarget[]): void;
  /** The repository's last snapshot of a metered counter, 0 if there is none. @throws TollgateError `quota_unavailable` */
  lastSnapshot(org: string, counter: CounterRef): Promise<number>;
}

/** Which targets are counted: those without a count in the store, those that are too old, or all. */
type Wanted = 'missing' | 'old' | 'all';

interface Running {
  /** Resolves when a count was handed to the store. Stays pending if none ever is; `done` settles then. */
  readonly handedOver: Promise<void>;
  /** Resolves to whether rows were counted and the store applied the count. */
  readonly done: Promise<boolean>;
}

/** How often a recount is repeated because the org changed while the host counted. */
const MAX_ROUNDS = 4;
/**
 * How many late counts of a counter may be in progress before no more are begun; without a bound, a host that cannot keep up after a loss
 * would be asked for ever more. If a counter is missing, a count is still useful after its callers have failed, and the host is working on
 * it anyway. Other recounts are never applied late, since a refusal must not rest on rows of so long ago.
 */
const MAX_LATE = 2;
/** How long to wait for a late count, as a multiple of `inventoryTimeoutMs`. */
const LATE_FACTOR = 4;

export function createRecounts(
  wiring: Pick<
    Wiring,
    'catalog' | 'counters' | 'repository' | 'inventory' | 'settings' | 'logger' | 'telemetry'
  >,
): Recounts {
  const { catalog, counters, repository, settings, logger, telemetry } = wiring;
  const { inventoryTimeoutMs } = settings;
  const running = new Map<string, Running>();
  /** How many counts are late, by name. */
  const late = new Map<string, number>();

  async function runOne(
    org: string,
    target: RecountTarget,
    wanted: Wanted,
    tell: { readonly handedOver: () => void; readonly late: () => void },
  ): Promise<boolean> {
    const isCapacity = isCapacityKey(catalog, target.key);
    let isCounted = false;
    for (let round = 1; round <= MAX_ROUNDS; round++) {
      const [token] = await counters.beginRecount({ org, counters: [target] });
      if (token === undefined) throw new TollgateError('internal_error');
      // A metered counter is only ever seeded: if the store has a count, that count is the truth.
      const isEnough = wanted === 'missing' || !isCapacity;
      if (token.reading !== null && (isEnough || target.isTooOld?.(token.reading) === false)) break;
      const count = !isCapacity
        ? await lastSnapshot(org, target)
        : wanted === 'missing'
          ? await countLate(org, target.key, tell.late)
          : await countRows(wiring, org, target.key);
      const finishing = counters.finishRecount({
        org,
        counts: [{ ...token, count, forgetAt: target.forgetAt }],
      });
      tell.handedOver();
      const [result] = await finishing;
      telemetry.count('tollgate.recounts', 1, { key: target.key });
      if (result?.applied !== true) {
        // Another recount was finished meanwhile. Counting again would only count rows in the making twice. Only for `all` it is necessary,
        // since the other recount may have begun too early.
        if (wanted === 'all') continue;
        break;
      }
      isCounted = isCapacity;
      if (result.uncertain === 0) break;
    }
    // Units that are still uncertain count towards the limit, so nothing is admitted by mistake.
    return isCounted;
  }

  /** The host's count, even if it is late: the store can tell whether it is still usable. */
  async function countLate(org: string, key: string, tellLate: () => void): Promise<number> {
    const timer = setTimeout(() => {
      tellLate();
      warnSometimes(logger, 'inventory.count is late: what needs this count is not decided', {
        org,
        key,
        inventoryTimeoutMs,
      });
    }, inventoryTimeoutMs);
    try {
      return await countRows(wiring, org, key, LATE_FACTOR * inventoryTimeoutMs);
    } finally {
      clearTimeout(timer);
    }
  }

  async function lastSnapshot(org: string, { key, window }: CounterRef): Promise<number> {
    try {
      const [snapshot] = await repository.loadUsage({ org, windows: [{ key, window }] });
      return snapshot?.used ?? 0;
    } catch (cause) {
      throw new TollgateError('quota_unavailable', { cause, retryAfterSeconds: 1 });
    }
  }

  function start(org: string, target: RecountTarget, wanted: Wanted): Running & { isJoined: boolean } {
    const name = nameOf(org, target, wanted);
    const under = running.get(name);
    if (under !== undefined) return { ...under, isJoined: true };
    const runInTime = () =>
      new Promise<boolean>((resolve, reject) => {
        let isLate = false;
        const tellLate = () => {
          if (!isLate) late.set(name, (late.get(name) ?? 0) + 1);
          isLate = true;
          reject(undecided());
        };
        runOne(org, target, wanted, { handedOver: () => tellHandedOver(), late: tellLate })
          .finally(() => {
            if (isLate) leave(name);
          })
          .then(resolve, reject);
      });
    const isBehind = (late.get(name) ?? 0) >= MAX_LATE;
    let tellHandedOver = () => {};
    const handedOver = new Promise<void>((resolve) => {
      tellHandedOver = resolve;
    });
    const done = (isBehind ? Promise.reject(undecided()) : runInTime()).finally(() => running.delete(name));
    running.set(name, { handedOver, done });
    return { handedOver, done, isJoined: false };
  }

  function leave(name: string): void {
    const others = (late.get(name) ?? 0) - 1;
    if (others > 0) late.set(name, others);
    else late.delete(name);
  }

  async function join(org: string, target: RecountTarget, wanted: Wanted): Promise<boolean> {
    const { done, isJoined } = start(org, target, wanted);
    const isCounted = await done;
    // A recount that was joined began earlier, and may have missed rows that exist now.
    return isCounted && !isJoined;
  }

  /** Waits for the recount in progress, if any, then joins the next one, which all such callers share. */
  async function joinNext(org: string, target: RecountTarget): Promise<void> {
    await running.get(nameOf(org, target, 'all'))?.done.catch(() => undefined);
    await join(org, target, 'all');
  }

  const run = async (org: string, targets: readonly RecountTarget[]) => {
    await Promise.all(targets.map((target) => join(org, target, 'old')));
  };
  return {
    run,
    async runAnew(org, targets) {
      await Promise.all(targets.map((target) => joinNext(org, target)));
    },
    fill: (org, targets) => Promise.all(targets.map((target) => join(org, target, 'missing'))),
    async fillAhead(org, targets) {
      await Promise.all(
        targets.map((target) => {
          const { handedOver, done } = start(org, target, 'missing');
          return Promise.race([handedOver, done]);
        }),
      );
    },
    lastSnapshot,
    runInBackground(org, targets) {
      run(org, targets).catch((error: unknown) => {
        warnSometimes(logger, 'a background recount failed', { org, ...describeFailure(error) });
      });
    },
  };
}

function undecided(): TollgateError {
  return new TollgateError('quota_unavailable', { retryAfterSeconds: 1 });
}

function nameOf(org: string, { key, window }: CounterRef, wanted: Wanted): string {
  return `${org}\n${key}\n${window}\n${wanted}`;
}

function isCapacityKey(catalog: Catalog, key: string): boolean {
  return catalog.quota(key)?.kind === 'capacity';
}
