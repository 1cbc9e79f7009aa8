import type { Catalog } from '../catalog/catalog.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { CounterReading, CounterRef } from '../ports/counter-store.ts';
import type { Wiring } from '../wiring.ts';
import { countRows } from './count-rows.ts';

/** A counter to count anew, and how long the store may keep it then. */
export interface RecountTarget extends CounterRef {
  readonly forgetAt: number | null;
  /**
   * Asked of the count the store has when this one is begun: another process may have counted since the caller looked, and to count
   * once more would only count rows in the making twice. @default any is
   */
  readonly isTooOld?: (reading: CounterReading) => boolean;
}

/** Sets counters from the truth: the host's inventory for capacity keys, the repository's last snapshot for metered ones. */
export interface Recounts {
  /**
   * Counts anew, where `isTooOld` does not say that the store's count will do. Calls for a counter that is being counted already join
   * that recount: a change the store was told of meanwhile makes it count once more, so the answer covers it.
   *
   * @throws TollgateError `quota_unavailable` when the truth or the store cannot be asked
   */
  run(org: string, targets: readonly RecountTarget[]): Promise<void>;
  /** As `run`, of rows as they are from now on: one under way may have counted already, and is not joined. */
  runAnew(org: string, targets: readonly RecountTarget[]): Promise<void>;
  /**
   * Counts only what the store has no count of when it is asked; another process may have been faster. Answers, target by target,
   * whether the host's rows of this moment are sure to be in the store's count. @throws as `run`
   */
  fill(org: string, targets: readonly RecountTarget[]): Promise<readonly boolean[]>;
  /**
   * `fill`, waited for only until the store has been handed every count: what it is asked next it decides on them, if it keeps the order
   * of what one process asks. One that does not answers that it has no count yet. @throws as `run`, for what fails before that
   */
  fillAhead(org: string, targets: readonly RecountTarget[]): Promise<void>;
  /** `run`, not waited for; a failure is logged. */
  runInBackground(org: string, targets: readonly RecountTarget[]): void;
  /** What the repository last heard of a metered counter, 0 for nothing. @throws TollgateError `quota_unavailable` */
  lastSnapshot(org: string, counter: CounterRef): Promise<number>;
}

/** What is counted: what the store has no count of, what is too old, or all that is asked for. */
type Wanted = 'missing' | 'old' | 'all';

interface Running {
  /** The store was handed a count. Stays open when it never is: `done` tells then. */
  readonly handedOver: Promise<void>;
  /** Answers whether rows were counted and the store took the count. */
  readonly done: Promise<boolean>;
}

/** How often a recount is repeated because the org changed while the host counted. */
const MAX_ROUNDS = 4;
/**
 * Where a counter is missing, a count that comes late, when its callers were told that nobody can decide, is of use all the same, and it is
 * under way at the host whether or not it is waited for: with so many behind none is begun, else a host that cannot keep up after a loss would
 * be asked ever more. A refusal must not rest on rows of so long ago: of the others none is taken late.
 */
const MOST_LATE = 2;
/** How long one is waited for that is late, in times of what the host is given. */
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
      // A metered count is only ever seeded: while the store has one, the store's is the truth.
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
        // Another count was finished meanwhile. Counting once more would only count rows in the making twice; that one may be too early for all.
        if (wanted === 'all') continue;
        break;
      }
      isCounted = isCapacity;
      if (result.uncertain === 0) break;
    }
    // What is left uncertain still counts towards the limit, so nothing is admitted on it by mistake.
    return isCounted;
  }

  /** The host's count, however late: the store can tell whether it is still of use. */
  async function countLate(org: string, key: string, tellLate: () => void): Promise<number> {
    const timer = setTimeout(() => {
      tellLate();
      logger.warn('inventory.count is late: what needs this count is not decided', {
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
    const isBehind = (late.get(name) ?? 0) >= MOST_LATE;
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
    // Begun earlier, one that was joined may have missed rows that are there now.
    return isCounted && !isJoined;
  }

  /** All who wait for one that is under way share the next. */
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
        logger.warn('a background recount failed', {
          code: error instanceof TollgateError ? error.code : 'internal_error',
        });
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
