import type {
  Adjustment,
  CounterReading,
  CounterRef,
  CounterStore,
  RecountResult,
  RecountToken,
  Reservation,
  ReservationState,
  ReserveOutcome,
  SettleOutcome,
  SettleRequest,
} from '../ports/counter-store.ts';

import {
  fingerprintOf,
  type OpenCharge,
  openCharge,
  placeWhenCommitted,
  placeWhenUnknown,
} from './open-charge.ts';

const MAX_UNITS = Number.MAX_SAFE_INTEGER;

/** How long a recount of a counter without a count may take before its token expires, ms. */
const RECOUNT_MARK_MS = 600_000;

/** One counter. `held` is not stored: it is the sum over the live reservations. */
interface Counter extends CounterRef {
  /** False from the first begun recount until one is finished: only the changes in between are kept. */
  known: boolean;
  /** New with each finished recount and never reused, so that tokens made before it do not match. */
  serial: number;
  committed: number;
  uncertain: number;
  /** Units added and units removed since the last finished recount, by any kind of change. */
  added: bigint;
  removed: bigint;
  countedAt: number;
  forgetAt: number | null;
  /** When a counter that is not known is dropped. */
  markEndsAt: number;
}

interface OpenReservation {
  readonly id: string;
  readonly fingerprint: string;
  readonly rememberMs: number;
  readonly charges: readonly OpenCharge[];
  leaseEndsAt: number;
}

/** The counters and reservations of one org. Each method is one atomic step, at the instant `now` of the store's clock. */
export class CounterLedger {
  readonly counters = new Map<string, Counter>();
  readonly live = new Map<string, OpenReservation>();
  readonly lapsed = new Map<string, OpenReservation>();
  readonly settled = new Map<
    string,
    { readonly fingerprint: string; readonly state: ReservationState; readonly endsAt: number }
  >();
  readonly adjusted = new Map<string, number>();
  readonly #lapsedKeepMs: number;
  readonly #nextSerial: () => number;
  /** No lease ends before this instant. Unknown at first, since a store may have filled in leases. */
  #earliestEnd = Number.NEGATIVE_INFINITY;

  constructor(options: { readonly lapsedKeepMs: number; readonly nextSerial: () => number }) {
    this.#lapsedKeepMs = options.lapsedKeepMs;
    this.#nextSerial = options.nextSerial;
  }

  reserve(
    request: Reservation & { readonly leaseMs: number; readonly maxHeld: number },
    now: number,
  ): ReserveOutcome {
    this.#lapse(now);
    const { id, charges } = request;
    const fingerprint = fingerprintOf(charges);
    const earlier = this.#find(id, now);
    if (earlier)
      return earlier.fingerprint === fingerprint
        ? { outcome: 'repeated', state: earlier.state }
        : { outcome: 'conflict' };

    const counters: Counter[] = [];
    const missing: number[] = [];
    for (const [index, charge] of charges.entries()) {
      const counter = this.#counter(charge, now);
      if (counter?.known) counters.push(counter);
      else missing.push(index);
    }
    if (missing.length > 0) return { outcome: 'unknown', missing };
    if (this.live.size >= request.maxHeld) return { outcome: 'crowded' };

    const misfits: number[] = [];
    for (const [index, { amount, limit }] of charges.entries()) {
      const counter = counters[index];
      if (!counter || this.#room(counter, limit) < amount) misfits.push(index);
    }
    if (misfits.length > 0)
      return { outcome: 'denied', misfits, readings: counters.map((counter) => this.#reading(counter, now)) };

    this.#earliestEnd = Math.min(this.#earliestEnd, now + request.leaseMs);
    this.live.set(id, {
      id,
      fingerprint,
      rememberMs: request.rememberMs,
      leaseEndsAt: now + request.leaseMs,
      charges: charges.map(openCharge),
    });
    for (const [index, counter] of counters.entries())
      counter.forgetAt = later(counter.forgetAt, charges[index]?.forgetAt ?? null);
    return { outcome: 'reserved', readings: counters.map((counter) => this.#reading(counter, now)) };
  }

  settle(request: Reservation & Pick<SettleRequest, 'as' | 'amounts'>, now: number): SettleOutcome {
    this.#lapse(now);
    const earlier = this.#find(request.id, now);
    if (!earlier || earlier.fingerprint !== fingerprintOf(request.charges)) return { outcome: 'gone' };
    const { reservation } = earlier;
    if (!reservation) return { outcome: 'repeated', state: earlier.state };

    const late = earlier.state === 'lapsed' && request.as === 'commit';
    this.live.delete(request.id);
    this.lapsed.delete(request.id);
    let overLimit = false;
    const missing: number[] = [];
    for (const [index, charge] of reservation.charges.entries()) {
      const kept =
        request.as === 'commit'
          ? (request.amounts?.[index] ?? charge.amount)
          : request.as === 'unknown'
            ? charge.amount
            : 0;
      const place = request.as === 'unknown' ? placeWhenUnknown(charge) : placeWhenCommitted(charge);
      const counter = this.#counter(charge, now);
      if (!counter) {
        if (kept > 0 && place !== 'nowhere') missing.push(index);
        continue;
      }
      this.#move(counter, charge, place, kept);
      overLimit ||= late && kept > 0 && counter.known && this.#room(counter, charge.limit) < 0;
    }
    const state = request.as === 'commit' ? 'committed' : request.as === 'release' ? 'released' : 'unknown';
    const rememberMs = Math.max(reservation.rememberMs, request.rememberMs);
    if (rememberMs > 0) {
      this.settled.set(request.id, {
        fingerprint: reservation.fingerprint,
        state,
        endsAt: now + rememberMs,
      });
    }
    const settled = { outcome: 'settled', late, overLimit } as const;
    return missing.length === 0 ? settled : { ...settled, missing };
  }

  renew(id: string, leaseMs: number, now: number): boolean {
    this.#lapse(now);
    const reservation = this.live.get(id);
    if (reservation) {
      reservation.leaseEndsAt = now + leaseMs;
      this.#earliestEnd = Math.min(this.#earliestEnd, reservation.leaseEndsAt);
    }
    return reservation !== undefined;
  }

  adjust(
    request: Parameters<CounterStore['adjust']>[0],
    now: number,
  ): Awaited<ReturnType<CounterStore['adjust']>> {
    this.#lapse(now);
    const { adjustments, id, rememberMs = 0 } = request;
    if (id !== undefined && (this.adjusted.get(id) ?? now) > now) return { missing: [], repeated: true };
    const missing = adjustments.flatMap((adjustment, index) =>
      this.#counter(adjustment, now)?.known ? [] : [index],
    );
    if (missing.length > 0) return { missing, repeated: false };
    for (const adjustment of adjustments) {
      const counter = this.#counter(adjustment, now);
      if (counter) this.#adjustOne(counter, adjustment);
    }
    if (id !== undefined && rememberMs > 0) this.adjusted.set(id, now + rememberMs);
    return { missing: [], repeated: false };
  }

  read(counters: readonly CounterRef[], now: number): readonly (CounterReading | null)[] {
    this.#lapse(now);
    return counters.map((ref) => {
      const counter = this.#counter(ref, now);
      return counter?.known ? this.#reading(counter, now) : null;
    });
  }

  beginRecount(refs: readonly CounterRef[], now: number): readonly RecountToken[] {
    this.#lapse(now);
    return refs.map((ref) => {
      const counter = this.#counter(ref, now) ?? this.#mark(ref);
      counter.markEndsAt = now + RECOUNT_MARK_MS;
      // For a counter without a count, all changes kept with the mark count as made since each of its tokens.
      const token = counter.known
        ? `${counter.serial}.${counter.added}.${counter.removed}`
        : `${counter.serial}.0.0`;
      const reading = counter.known ? this.#reading(counter, now) : null;
      return { key: ref.key, window: ref.window, token, reading };
    });
  }

  finishRecount(
    counts: Parameters<CounterStore['finishRecount']>[0]['counts'],
    now: number,
  ): readonly RecountResult[] {
    this.#lapse(now);
    return counts.map((counted) => {
      const { key, window } = counted;
      const counter = this.#counter(counted, now);
      const begun = parseToken(counted.token);
      const missed = { key, window, applied: false, uncertain: 0 };
      if (!counter || begun?.serial !== counter.serial) return missed;
      // A database that lost its last changes is behind the token.
      if (counter.added < begun.added || counter.removed < begun.removed) return missed;

      for (const charge of this.#openCharges(counter)) {
        charge.straddled = true;
        if (charge.place === 'uncertain' && charge.lapsedAt <= begun.added) charge.place = 'nowhere';
        charge.lapsedAt = 0n;
      }
      const count = Math.min(counted.count, MAX_UNITS - this.held(counter));
      const removed = Math.min(count, Number(counter.removed - begun.removed));
      const added = Number(counter.added - begun.added);
      counter.committed = count - removed;
      counter.uncertain = 0;
      counter.uncertain = Math.min(added + removed, this.#room(counter, null));
      counter.forgetAt = counter.known ? later(counter.forgetAt, counted.forgetAt) : counted.forgetAt;
      counter.known = true;
      counter.countedAt = now;
      counter.serial = this.#nextSerial();
      counter.added = 0n;
      counter.removed = 0n;
      return { key, window, applied: true, uncertain: counter.uncertain };
    });
  }

  /** Drops everything that has expired. */
  tidy(now: number): void {
    this.#lapse(now);
    for (const counter of this.counters.values()) this.#counter(counter, now);
    for (const id of [...this.lapsed.keys(), ...this.settled.keys()]) this.#find(id, now);
    for (const [id, endsAt] of this.adjusted) if (endsAt <= now) this.adjusted.delete(id);
  }

  get isEmpty(): boolean {
    return (
      this.counters.size + this.live.size + this.lapsed.size + this.settled.size + this.adjusted.size === 0
    );
  }

  /** Lapses leases that have run out, as their charges' `onUnknown` says. Every step does this first, so that no timer is needed. */
  #lapse(now: number): void {
    if (now < this.#earliestEnd) return;
    this.#earliestEnd = Number.POSITIVE_INFINITY;
    for (const reservation of this.live.values()) {
      if (now < reservation.leaseEndsAt) {
        this.#earliestEnd = Math.min(this.#earliestEnd, reservation.leaseEndsAt);
        continue;
      }
      this.live.delete(reservation.id);
      this.lapsed.set(reservation.id, reservation);
      for (const charge of reservation.charges) {
        const counter = this.#counter(charge, now);
        if (!counter) {
          charge.place = 'nowhere';
          continue;
        }
        this.#move(counter, charge, placeWhenUnknown(charge), charge.amount);
        charge.lapsedAt = counter.added;
      }
    }
  }

  /** Removes a charge's units from where they are counted, and counts `kept` of them at `place`. */
  #move(counter: Counter, charge: OpenCharge, place: OpenCharge['place'], kept: number): void {
    if (charge.place === 'committed') counter.committed = Math.max(0, counter.committed - charge.amount);
    if (charge.place === 'uncertain') counter.uncertain = Math.max(0, counter.uncertain - charge.amount);
    charge.place = place;
    if (place === 'committed' || place === 'uncertain') this.#add(counter, place, kept);
  }

  #add(counter: Counter, place: 'committed' | 'uncertain', units: number): void {
    counter[place] += Math.min(units, this.#room(counter, null));
    counter.added += BigInt(units);
  }

  #adjustOne(counter: Counter, { change, amount, forgetAt }: Adjustment): void {
    counter.forgetAt = later(counter.forgetAt, forgetAt);
    if (change === 'charged') this.#add(counter, 'committed', amount);
    if (change === 'created') this.#add(counter, 'uncertain', amount);
    if (change === 'charged' || change === 'created') return;
    const taken = Math.min(amount, counter.committed);
    counter.committed -= taken;
    if (change === 'deleted') counter.uncertain += taken;
    counter.removed += BigInt(amount);
  }

  #counter(ref: CounterRef, now: number): Counter | undefined {
    const name = nameOf(ref);
    const counter = this.counters.get(name);
    if (!counter) return undefined;
    const endsAt = counter.known ? (counter.forgetAt ?? Number.POSITIVE_INFINITY) : counter.markEndsAt;
    if (now < endsAt) return counter;
    this.counters.delete(name);
    for (const charge of this.#openCharges(ref)) if (charge.place !== 'held') charge.place = 'nowhere';
    return undefined;
  }

  #mark({ key, window }: CounterRef): Counter {
    const counter: Counter = {
      key,
      window,
      known: false,
      serial: this.#nextSerial(),
      committed: 0,
      uncertain: 0,
      added: 0n,
      removed: 0n,
      countedAt: 0,
      forgetAt: null,
      markEndsAt: 0,
    };
    this.counters.set(nameOf(counter), counter);
    return counter;
  }

  /** What the store knows of an id; drops it first if it has expired. */
  #find(
    id: string,
    now: number,
  ): { fingerprint: string; state: ReservationState; reservation?: OpenReservation } | undefined {
    const live = this.live.get(id);
    if (live) return { fingerprint: live.fingerprint, state: 'held', reservation: live };
    const lapsed = this.lapsed.get(id);
    if (lapsed && now < lapsed.leaseEndsAt + Math.max(this.#lapsedKeepMs, lapsed.rememberMs)) {
      return { fingerprint: lapsed.fingerprint, state: 'lapsed', reservation: lapsed };
    }
    this.lapsed.delete(id);
    const settled = this.settled.get(id);
    if (settled && now < settled.endsAt) return settled;
    this.settled.delete(id);
    return undefined;
  }

  *#openCharges(ref: CounterRef): Iterable<OpenCharge> {
    for (const reservations of [this.live, this.lapsed]) {
      for (const { charges } of reservations.values()) {
        for (const charge of charges)
          if (charge.key === ref.key && charge.window === ref.window) yield charge;
      }
    }
  }

  held(ref: CounterRef): number {
    let held = 0;
    for (const { charges } of this.live.values()) {
      for (const charge of charges)
        if (charge.key === ref.key && charge.window === ref.window) held += charge.amount;
    }
    return held;
  }

  /** Units that still fit; negative if the counter is above the limit. */
  #room(counter: Counter, limit: number | null): number {
    return (limit ?? MAX_UNITS) - counter.committed - counter.uncertain - this.held(counter);
  }

  #reading(counter: Counter, now: number): CounterReading {
    return {
      committed: counter.committed,
      held: this.held(counter),
      uncertain: counter.uncertain,
      countAgeMs: Math.max(0, now - counter.countedAt),
    };
  }
}

/** A name that is unique to its counter. */
export function nameOf({ key, window }: CounterRef): string {
  return `${key.length}:${key}${window}`;
}

function later(a: number | null, b: number | null): number | null {
  return a === null || b === null ? null : Math.max(a, b);
}

function parseToken(token: string): { serial: number; added: bigint; removed: bigint } | undefined {
  const [, serial, added, removed] = /^(\d+)\.(\d+)\.(\d+)$/.exec(token) ?? [];
  if (serial === undefined || added === undefined || removed === undefined) return undefined;
  return { serial: Number(serial), added: BigInt(added), removed: BigInt(removed) };
}
