import type { Reservation } from '../ports/counter-store.ts';
import type { Wiring } from '../wiring.ts';

/** Renews the leases of this process while their handlers run. */
export interface KeepAlive {
  add(lease: Reservation): void;
  /** Renews it no more, for its handler may run on unseen. */
  letLapse(lease: Reservation): void;
  remove(lease: Reservation): void;
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
  const old = new Set<Reservation>();
  /** With the beats until their leases are over. */
  const lapsing = new Map<Reservation, number>();
  let timer: NodeJS.Timeout | null = null;

  function beat(): void {
    if (old.size > 0) {
      counters
        .renew({ leases: [...old].map(({ org, id }) => ({ org, id })), leaseMs: settings.leaseMs })
        .catch(() => {
          logger.warn('leases could not be renewed; the next beat tries again', { leases: old.size });
        });
    }
    for (const lease of young) old.add(lease);
    young = new Set();
    for (const [lease, beats] of lapsing) {
      if (beats > 1) lapsing.set(lease, beats - 1);
      else lapsing.delete(lease);
    }
    if (old.size + lapsing.size === 0) stop();
  }

  function stop(): void {
    if (timer !== null) clearInterval(timer);
    timer = null;
  }

  return {
    add(lease) {
      // One that was about to lapse is renewed with the next beat.
      if (lapsing.delete(lease)) old.add(lease);
      else if (!old.has(lease)) young.add(lease);
      timer ??= setInterval(beat, everyMs).unref();
    },
    letLapse(lease) {
      if (young.delete(lease) || old.delete(lease)) lapsing.set(lease, BEATS_TO_LAPSE);
    },
    remove(lease) {
      if (!young.delete(lease) && !old.delete(lease)) lapsing.delete(lease);
    },
    of(org) {
      return [...young, ...old, ...lapsing.keys()].filter((lease) => lease.org === org);
    },
    close() {
      stop();
      young.clear();
      old.clear();
      lapsing.clear();
    },
  };
}
