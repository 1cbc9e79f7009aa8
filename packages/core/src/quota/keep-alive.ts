import { describeFailure } from '../errors/describe-failure.ts';
import { outsideRequests } from '../outside-requests.ts';
import type { Reservation } from '../ports/counter-store.ts';
import type { Wiring } from '../wiring.ts';

/** A reservation whose lease may be kept alive; one per handle. */
export class Lease {
  readonly reservation: Reservation;
  /** Whether others may settle it too: then it is over here as well once the store no longer holds it. */
  isShared = false;
  /** Its index in the list of leases made since the last beat; -1 if it is not there. */
  place = -1;

  constructor(reservation: Reservation) {
    this.reservation = reservation;
  }
}

/** The reservations of an org whose handlers may have been running when the watch began, or have started since. */
export interface HeldWatch {
  readonly seen: ReadonlySet<Reservation>;
  end(): void;
}

/** Renews the leases of this process while their handlers run. */
export interface KeepAlive {
  add(lease: Lease): void;
  /** Stops renewing it. Its handler may still be running unseen. */
  letLapse(lease: Lease): void;
  remove(lease: Lease): void;
  /** Watches the leases of an org whose handlers may be running: those being renewed, and those left to lapse, until they have. */
  watch(org: string): HeldWatch;
  close(): void;
}

/** A lease lasts for three beats, and a beat in flight may have renewed it. */
const BEATS_TO_LAPSE = 4;

/** One timer for all leases of the process. It only runs while there are any, and never keeps the process alive. */
export function createKeepAlive(wiring: Pick<Wiring, 'counters' | 'settings' | 'logger'>): KeepAlive {
  const { counters, settings, logger } = wiring;
  const everyMs = Math.max(1, Math.floor(settings.leaseMs / 3));
  /**
   * Leases made since the last beat, which need no renewal before the next. A list in which each lease knows its index, since every
   * create passes through it, and a set that is filled and emptied all day retains its old entries until the next full collection.
   */
  const young: Lease[] = [];
  /** By lease: how many beats in a row found it not held, since it was settled elsewhere, or lost and not yet made known again. */
  const old = new Map<Lease, number>();
  /** By lease: the beats until it is over. */
  const lapsing = new Map<Lease, number>();
  const watching = new Set<(reservation: Reservation) => void>();
  let timer: NodeJS.Timeout | null = null;

  function beat(): void {
    if (old.size > 0) {
      const leases = [...old.keys()];
      counters
        .renew({
          leases: leases.map(({ reservation: { org, id } }) => ({ org, id })),
          leaseMs: settings.leaseMs,
        })
        .then((held) => {
          for (const [i, lease] of leases.entries()) note(lease, held[i] !== false);
        })
        .catch((error: unknown) => {
          const facts = { leases: old.size, ...describeFailure(error) };
          logger.warn('leases could not be renewed; the next beat tries again', facts);
        });
    }
    for (const lease of young.splice(0)) {
      lease.place = -1;
      old.set(lease, 0);
    }
    for (const [lease, beats] of lapsing) {
      if (beats > 1) lapsing.set(lease, beats - 1);
      else lapsing.delete(lease);
    }
    if (old.size + lapsing.size === 0) stop();
  }

  /** An unshared lease that stays lost has lapsed, but its handler may still be running: it is kept, and stays visible to watches. */
  function note(lease: Lease, isHeld: boolean): void {
    const missed = old.get(lease);
    if (missed === undefined) return;
    if (isHeld) old.set(lease, 0);
    else if (missed + 1 < BEATS_TO_LAPSE) old.set(lease, missed + 1);
    else if (lease.isShared) letLapse(lease);
  }

  /** Returns whether it was young. */
  function removeYoung(lease: Lease): boolean {
    const { place } = lease;
    if (place < 0) return false;
    const last = young.pop();
    if (last !== undefined && last !== lease) {
      young[place] = last;
      last.place = place;
    }
    lease.place = -1;
    return true;
  }

  function letLapse(lease: Lease): void {
    if (removeYoung(lease) || old.delete(lease)) lapsing.set(lease, BEATS_TO_LAPSE);
  }

  function stop(): void {
    if (timer !== null) clearInterval(timer);
    timer = null;
  }

  return {
    add(lease) {
      // A lease left to lapse is renewed with the next beat.
      if (lapsing.delete(lease)) old.set(lease, 0);
      else if (lease.place < 0 && !old.has(lease)) lease.place = young.push(lease) - 1;
      if (watching.size > 0) for (const see of watching) see(lease.reservation);
      timer ??= outsideRequests(() => setInterval(beat, everyMs).unref());
    },
    letLapse,
    remove(lease) {
      if (!removeYoung(lease) && !old.delete(lease)) lapsing.delete(lease);
    },
    watch(org) {
      const seen = new Set<Reservation>();
      const see = (reservation: Reservation) => {
        if (reservation.org === org) seen.add(reservation);
      };
      for (const leases of [young, old.keys(), lapsing.keys()])
        for (const { reservation } of leases) see(reservation);
      watching.add(see);
      return { seen, end: () => void watching.delete(see) };
    },
    close() {
      stop();
      for (const lease of young.splice(0)) lease.place = -1;
      old.clear();
      lapsing.clear();
    },
  };
}
