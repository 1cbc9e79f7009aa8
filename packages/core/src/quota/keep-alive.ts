import type { Reservation } from '../ports/counter-store.ts';
import type { Wiring } from '../wiring.ts';

/** Renews the leases of this process while their handlers run. */
export interface KeepAlive {
  add(lease: Reservation): void;
  /** Renews it no more, for its handler may run on unseen. */
  letLapse(lease: Reservation): void;
  remove(lease: Reservation): void;
  /** Others may settle it too: once the store holds it no more, it is over here as well. */
  share(lease: Reservation): void;
  /** The leases of an org whose handlers may be running: those that are renewed, and those that lapse, until they have. */
  of(org: string): Reservation[];
  close(): void;
}

/** A lease lasts for three beats, and may have been renewed by one under way. */
const BEATS_TO_LAPSE = 4;

/** One timer for all leases of the process: it runs only while there are any, and never holds the process open. */
export function createKeepAlive(wiring: Pick<Wiring, 'counters' | 'settings' | 'logger'>): KeepAlive {
  const { counters, settings, logger } = wiring;
  const everyMs = Math.max(1, Math.floor(settings.leaseMs / 3));
  /** Leases made since the last beat are young enough to be left alone until the next. */
  let young = new Set<Reservation>();
  /** With how many beats in a row found them not held: settled elsewhere, or lost and not yet made known again. */
  const old = new Map<Reservation, number>();
  const shared = new WeakSet<Reservation>();
  /** With the beats until their leases are over. */
  const lapsing = new Map<Reservation, number>();
  let timer: NodeJS.Timeout | null = null;

  function beat(): void {
    if (old.size > 0) {
      const leases = [...old.keys()];
      counters
        .renew({ leases: leases.map(({ org, id }) => ({ org, id })), leaseMs: settings.leaseMs })
        .then((held) => {
          for (const [i, lease] of leases.entries()) note(lease, held[i] !== false);
        })
        .catch(() => {
          logger.warn('leases could not be renewed; the next beat tries again', { leases: old.size });
        });
    }
    for (const lease of young) old.set(lease, 0);
    young = new Set();
    for (const [lease, beats] of lapsing) {
      if (beats > 1) lapsing.set(lease, beats - 1);
      else lapsing.delete(lease);
    }
    if (old.size + lapsing.size === 0) stop();
  }

  /** One of ours alone that stays away has lapsed, and its handler may be running all the same: it counts on. */
  function note(lease: Reservation, isHeld: boolean): void {
    const missed = old.get(lease);
    if (missed === undefined) return;
    if (isHeld) old.set(lease, 0);
    else if (missed + 1 < BEATS_TO_LAPSE) old.set(lease, missed + 1);
    else if (shared.has(lease)) letLapse(lease);
  }

  function letLapse(lease: Reservation): void {
    if (young.delete(lease) || old.delete(lease)) lapsing.set(lease, BEATS_TO_LAPSE);
  }

  function stop(): void {
    if (timer !== null) clearInterval(timer);
    timer = null;
  }

  return {
    add(lease) {
      // One that was about to lapse is renewed with the next beat.
      if (lapsing.delete(lease)) old.set(lease, 0);
      else if (!old.has(lease)) young.add(lease);
      timer ??= setInterval(beat, everyMs).unref();
    },
    letLapse,
    remove(lease) {
      if (!young.delete(lease) && !old.delete(lease)) lapsing.delete(lease);
    },
    share(lease) {
      shared.add(lease);
    },
    of(org) {
      return [...young, ...old.keys(), ...lapsing.keys()].filter((lease) => lease.org === org);
    },
    close() {
      stop();
      young.clear();
      old.clear();
      lapsing.clear();
    },
  };
}
