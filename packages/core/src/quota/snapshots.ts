import { describeFailure } from '../errors/describe-failure.ts';
import { outsideRequests } from '../outside-requests.ts';
import type { UsageSnapshot } from '../ports/billing-repository.ts';
import type { Charge, CounterRef } from '../ports/counter-store.ts';
import { createPurge } from '../purge.ts';
import type { Wiring } from '../wiring.ts';
import { CLOSING_MS } from '../within.ts';
import { MOST_FAILURES } from './most-failures.ts';

/** A metered counter that changed. */
export interface ChangedCounter extends CounterRef {
  /** From when on its window may be forgotten, some time after its end; epoch ms. */
  readonly endsAt: number | null;
}

/** The changes noted for one org. */
interface Noted {
  /** By key and window. */
  readonly byName: Map<string, ChangedCounter>;
  /** The charges noted last: creates of one guard share the same object. */
  charges: readonly Charge[] | null;
}

/** The changed counters of one org, or a part of them if there are many. */
interface Part {
  readonly org: string;
  readonly counters: readonly ChangedCounter[];
}

/** Writes metered use behind to the repository, so that a lost counter store loses no more than `snapshotEveryMs` of it. */
export interface Snapshots {
  note(org: string, counter: ChangedCounter): void;
  /** Notes the metered ones among the counters of these charges. */
  noteCharged(org: string, charges: readonly Charge[]): void;
  /** Writes what is noted now; what could not be written stays noted. */
  flush(): Promise<void>;
  /** Writes what is left and stops. @param startedAt - when closing began, on the clock of `performance.now()` */
  close(startedAt: number): Promise<void>;
}

/** Counters read in one call, and calls made concurrently for one write: after an outage there may be any number of counters. */
const COUNTERS_AT_ONCE = 20;
const PARTS_AT_ONCE = 50;

export function createSnapshots(
  wiring: Pick<Wiring, 'catalog' | 'counters' | 'repository' | 'settings' | 'clock' | 'logger' | 'telemetry'>,
): Snapshots {
  const { catalog, counters, repository, settings, logger, telemetry } = wiring;
  let changed = new Map<string, Noted>();
  let timer: NodeJS.Timeout | null = null;
  let flushing: Promise<void> = Promise.resolve();
  /** The queued flush, which writes all that is noted when it begins. */
  let next: Promise<void> | null = null;
  const purgeSometimes = createPurge(
    wiring,
    (request) => repository.purgeUsage(request),
    'old metered use could not be purged; it is tried again',
  );
  let purging: Promise<void> = Promise.resolve();
  let purgeUntil = Number.POSITIVE_INFINITY;
  let hasWritten = false;
  let hasFailed = false;
  let isClosed = false;

  async function write(): Promise<void> {
    const parts = partsOf(changed);
    changed = new Map();
    hasFailed = false;
    const left = new Set(parts);
    let failure: unknown;
    /** Orgs that could not be read since the last success. */
    const failing = new Set<string>();
    try {
      for (let start = 0; start < parts.length && failing.size < MOST_FAILURES; start += PARTS_AT_ONCE) {
        const step = parts.slice(start, start + PARTS_AT_ONCE);
        // What fails now comes last the next time, so that it holds up no other.
        for (const part of step) left.delete(part);
        for (const part of step) left.add(part);
        const answers = await Promise.allSettled(step.map(snapshotsOf));
        const read: Part[] = [];
        const snapshots: UsageSnapshot[] = [];
        for (const [i, part] of step.entries()) {
          const answer = answers[i];
          if (answer?.status === 'fulfilled') {
            snapshots.push(...answer.value);
            read.push(part);
            failing.clear();
          } else {
            failure = answer?.reason;
            failing.add(part.org);
          }
        }
        if (snapshots.length > 0) await repository.saveUsage(snapshots);
        for (const part of read) left.delete(part);
      }
      hasWritten = true;
      if (failure !== undefined) throw failure;
    } catch (error) {
      hasFailed = true;
      for (const { org, counters } of left) for (const counter of counters) note(org, counter);
      telemetry.count('tollgate.snapshot_failures', 1);
      logger.warn('metered use could not be written behind; it is tried again', {
        orgs: new Set([...left].map(({ org }) => org)).size,
        ...describeFailure(error),
      });
    }
  }

  async function snapshotsOf({ org, counters: noted }: Part): Promise<UsageSnapshot[]> {
    const readings = await counters.read({ org, counters: noted });
    return noted.flatMap(({ key, window, endsAt }, i) => {
      const reading = readings[i];
      // Uncertain units were charged while the counter was restored from the last snapshot, which does not include them.
      return reading ? [{ org, key, window, used: reading.committed + reading.uncertain, endsAt }] : [];
    });
  }

  /** Purges only after everything was written, since a purge may take long. */
  function purgeBehind(): Promise<void> {
    const shouldStop = () => performance.now() >= purgeUntil;
    purging = purging.then(() => (hasWritten && !shouldStop() ? purgeSometimes(shouldStop) : undefined));
    return purging;
  }

  function note(org: string, { key, window, endsAt }: ChangedCounter): void {
    let noted = changed.get(org);
    if (noted === undefined) {
      noted = { byName: new Map(), charges: null };
      changed.set(org, noted);
    }
    const name = `${key}\n${window}`;
    if (noted.byName.has(name)) return;
    noted.byName.set(name, { key, window, endsAt });
    if (isClosed) return;
    timer ??= outsideRequests(() =>
      setTimeout(() => {
        timer = null;
        void flush().then(purgeBehind);
      }, settings.snapshotEveryMs).unref(),
    );
  }

  function noteCharged(org: string, charges: readonly Charge[]): void {
    if (changed.get(org)?.charges === charges) return;
    for (const { key, window, forgetAt } of charges) {
      if (catalog.quota(key)?.kind === 'metered') note(org, { key, window, endsAt: forgetAt });
    }
    const noted = changed.get(org);
    if (noted !== undefined) noted.charges = charges;
  }

  function flush(): Promise<void> {
    if (next === null) {
      next = flushing.then(() => {
        next = null;
        return changed.size > 0 ? write() : undefined;
      });
      flushing = next;
    }
    return next;
  }

  return {
    note,
    noteCharged,
    flush,
    async close(startedAt) {
      isClosed = true;
      purgeUntil = startedAt + CLOSING_MS;
      await flush();
      if (timer !== null) clearTimeout(timer);
      timer = null;
      await purgeBehind();
      // Writes what was used meanwhile, unless the last write failed: then another attempt is not worth waiting for.
      if (!hasFailed) await flush();
    },
  };
}

function partsOf(noted: ReadonlyMap<string, Noted>): readonly Part[] {
  const parts: Part[] = [];
  for (const [org, { byName }] of noted) {
    const all = [...byName.values()];
    for (let start = 0; start < all.length; start += COUNTERS_AT_ONCE)
      parts.push({ org, counters: all.slice(start, start + COUNTERS_AT_ONCE) });
  }
  return parts;
}
