import { outsideRequests } from '../outside-requests.ts';
import type { Reservation } from '../ports/counter-store.ts';
import type { Wiring } from '../wiring.ts';

/** A reservation whose lease may be kept alive: one for each handle. */
export class Lease {
  readonly reservation: Reservation;
  /** Others may settle it too: once the store holds it no more, it is over here as well. */
  isShared = false;
  /** Where it is in the list of those made since the last beat; -1 when it is not. */
  place = -1;

  constructor(reservation: Reservation) {
    this.reservation = reservation;
  }
}

/** The reservations of an org whose handlers may be running, and those whose handlers began to since. */
export interface HeldWatch {
  readonly seen: ReadonlySet<Reservation>;
  end(): void;
}

/** Renews the leases of this process while their handlers run. */
export interface KeepAlive {
  add(lease: Lease): void;
  /** Renews it no more, for its handler may run on unseen. */
  letLapse(lease: Lease): void;
  remove(lease: Lease): void;
  /** Watches the leases of an org whose handlers may be running: those that are renewed, and those that lapse, until they have. */
  watch(org: string): HeldWatch;
  close(): void;
}

/** A lease lasts for three beats, and may have been renewed by one under way. */
const BEATS_TO_LAPSE = 4;

/** One timer for all leases of the process: it runs only while there are any, and never holds the process open. */
export function createKeepAlive(wiring: Pick<Wiring, 'counters' | 'settings' | 'logger'>): KeepAlive {
  const { counters, settings, logger } = wiring;
  const everyMs = Math.max(1, Math.floor(settings.leaseMs / 3));
  /**
   * Leases made since the last beat are young enough to be left alone until the next. A list that each knows its place in: every create
   * comes here and goes, and a set that is filled and emptied all day keeps what was in it until the next full collection.
   */
  const young: Lease[] = [];
  /** With how many beats in a row found them not held: settled elsewhere, or lost and not yet made known again. */
  const old = new Map<Lease, number>();
  /** With the beats until their leases are over. */
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
        .catch(() => {
          logger.warn('leases could not be renewed; the next beat tries again', { leases: old.size });
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

  /** One of ours alone that stays away has lapsed, and its handler may be running all the same: it counts on. */
  function note(lease: Lease, isHeld: boolean): void {
    const missed = old.get(lease);
    if (missed === undefined) return;
    if (isHeld) old.set(lease, 0);
    else if (missed + 1 < BEATS_TO_LAPSE) old.set(lease, missed + 1);
    else if (lease.isShared) letLapse(lease);
  }

  /** Whether it was one. */
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
      // One that was about to lapse is renewed with the next beat.
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
