import type {
  Adjustment,
  Charge,
  CounterReading,
  CounterRef,
  RecountResult,
  Reservation,
  ReservationState,
  ReserveOutcome,
  SettleOutcome,
} from '@tollgate/core';

/** How long the mark of a begun recount lasts on a counter without a count, ms, as the port specifies. */
const MARK_MS = 600_000;

/**
 * Everything that ever happened to one counter. Where a store keeps marks, the oracle keeps history: whether a recount saw a row is
 * derived from the steps at which things happened.
 */
interface OracleCounter {
  known: boolean;
  markEndsAt: number;
  committed: number;
  uncertain: number;
  countedAt: number;
  forgetAt: number | null;
  readonly changes: { readonly step: number; readonly added: number; readonly removed: number }[];
  /** Finished recounts, with the steps at which they began and finished. */
  readonly recounts: { readonly begun: number; readonly finished: number }[];
  readonly losses: number[];
}

interface OracleReservation {
  readonly charges: readonly Charge[];
  readonly rememberMs: number;
  readonly madeIn: number;
  state: ReservationState;
  /** The end of its lease while held or lapsed; once settled, when the id is forgotten. */
  endsAt: number;
  lapsedIn: number;
  /** For each charge, whether its units had a counter to go to when the lease ran out. */
  landed: readonly boolean[];
}

/** A recount token as the oracle knows it. */
export interface OracleToken extends CounterRef {
  readonly begun: number;
  readonly begunAt: number;
  readonly reading: CounterReading | null;
  /** How often the counter had been counted or lost when the recount began. */
  readonly epoch: number;
}

/** One org modelled on the port's specification, without regard to speed or memory. Times are ms since the history began. */
export class CounterOracle {
  readonly #lapsedKeepMs: number;
  readonly #counters = new Map<string, OracleCounter>();
  readonly #reservations = new Map<string, OracleReservation>();
  readonly #adjusted = new Map<string, number>();
  #step = 0;
  #now = 0;

  constructor(lapsedKeepMs: number) {
    this.#lapsedKeepMs = lapsedKeepMs;
  }

  /** Precedes every call: begins a step at this instant, and applies what time alone has changed before the call itself. */
  at(now: number): this {
    this.#now = now;
    this.#step += 1;
    for (const counter of this.#counters.values()) {
      if (counter.known ? counter.forgetAt !== null && now >= counter.forgetAt : now >= counter.markEndsAt)
        this.#lose(counter);
    }
    for (const [id, made] of this.#reservations) {
      if (made.state === 'held' && now >= made.endsAt) this.#lapse(made);
      const keepMs = made.state === 'lapsed' ? Math.max(this.#lapsedKeepMs, made.rememberMs) : 0;
      if (made.state !== 'held' && now >= made.endsAt + keepMs) this.#reservations.delete(id);
    }
    return this;
  }

  reserve(request: Reservation & { leaseMs: number; maxHeld: number }): ReserveOutcome {
    const earlier = this.#reservations.get(request.id);
    if (earlier)
      return isSame(earlier, request)
        ? { outcome: 'repeated', state: earlier.state }
        : { outcome: 'conflict' };
    const missing = positions(request.charges, (charge) => !this.#of(charge).known);
    if (missing.length > 0) return { outcome: 'unknown', missing };
    const live = [...this.#reservations.values()].filter(({ state }) => state === 'held');
    if (live.length >= request.maxHeld) return { outcome: 'crowded' };
    const misfits = positions(
      request.charges,
      (charge) => charge.limit !== null && this.#used(charge) + charge.amount > charge.limit,
    );
    if (misfits.length === 0) {
      this.#reservations.set(request.id, {
        charges: request.charges,
        rememberMs: request.rememberMs,
        madeIn: this.#step,
        state: 'held',
        endsAt: this.#now + request.leaseMs,
        lapsedIn: Number.POSITIVE_INFINITY,
        landed: [],
      });
      for (const charge of request.charges) this.#keepUntil(this.#of(charge), charge.forgetAt);
    }
    const readings = request.charges.map((charge) => this.#reading(charge));
    return misfits.length > 0 ? { outcome: 'denied', misfits, readings } : { outcome: 'reserved', readings };
  }

  settle(
    request: Reservation & { as: 'commit' | 'release' | 'unknown'; amounts?: readonly number[] },
  ): SettleOutcome {
    const made = this.#reservations.get(request.id);
    if (!made || !isSame(made, request)) return { outcome: 'gone' };
    if (made.state !== 'held' && made.state !== 'lapsed') return { outcome: 'repeated', state: made.state };
    const late = made.state === 'lapsed' && request.as === 'commit';
    const wasLapsed = made.state === 'lapsed';
    made.state = request.as === 'commit' ? 'committed' : request.as === 'release' ? 'released' : 'unknown';
    const rememberMs = Math.max(made.rememberMs, request.rememberMs);
    made.endsAt = this.#now + rememberMs;
    if (rememberMs === 0) this.#reservations.delete(request.id);
    let overLimit = false;
    const missing: number[] = [];
    for (const [index, charge] of made.charges.entries()) {
      if (wasLapsed) this.#takeBack(made, index, charge);
      const kept =
        request.as === 'release'
          ? 0
          : request.as === 'unknown'
            ? charge.amount
            : (request.amounts?.[index] ?? charge.amount);
      const counter = this.#of(charge);
      const straddles = counter.recounts.some(({ finished }) => finished > made.madeIn);
      const isPut =
        request.as === 'commit'
          ? this.#put(charge, charge.onUnknown === 'uncertain' && straddles ? 'uncertain' : 'committed', kept)
          : this.#putUnknown(charge, kept);
      if (!isPut && kept > 0) missing.push(index);
      overLimit ||=
        late && kept > 0 && counter.known && charge.limit !== null && this.#used(charge) > charge.limit;
    }
    return { outcome: 'settled', late, overLimit, ...(missing.length > 0 && { missing }) };
  }

  renew(id: string, leaseMs: number): boolean {
    const made = this.#reservations.get(id);
    if (made?.state !== 'held') return false;
    made.endsAt = this.#now + leaseMs;
    return true;
  }

  adjust(request: { adjustments: readonly Adjustment[]; id?: string; rememberMs?: number }): {
    missing: number[];
    repeated: boolean;
  } {
    if (request.id !== undefined && this.#now < (this.#adjusted.get(request.id) ?? 0))
      return { missing: [], repeated: true };
    const missing = positions(request.adjustments, (adjustment) => !this.#of(adjustment).known);
    if (missing.length > 0) return { missing, repeated: false };
    for (const adjustment of request.adjustments) {
      const counter = this.#of(adjustment);
      this.#keepUntil(counter, adjustment.forgetAt);
      if (adjustment.change === 'charged') this.#put(adjustment, 'committed', adjustment.amount);
      if (adjustment.change === 'created') this.#put(adjustment, 'uncertain', adjustment.amount);
      if (adjustment.change === 'charged' || adjustment.change === 'created') continue;
      const taken = Math.min(counter.committed, adjustment.amount);
      counter.committed -= taken;
      if (adjustment.change === 'deleted') counter.uncertain += taken;
      counter.changes.push({ step: this.#step, added: 0, removed: adjustment.amount });
    }
    if (request.id !== undefined) this.#adjusted.set(request.id, this.#now + (request.rememberMs ?? 0));
    return { missing: [], repeated: false };
  }

  read(ref: CounterRef): CounterReading | null {
    return this.#of(ref).known ? this.#reading(ref) : null;
  }

  beginRecount(ref: CounterRef): OracleToken {
    const counter = this.#of(ref);
    const { key, window } = ref;
    counter.markEndsAt = this.#now + MARK_MS;
    return {
      key,
      window,
      reading: this.read(ref),
      // Nothing of an unknown counter has been seen yet, whoever began to recount it before.
      begun: counter.known ? this.#step : (counter.losses.at(-1) ?? 0),
      begunAt: this.#now,
      epoch: epochOf(counter),
    };
  }

  finishRecount(token: OracleToken, count: number, forgetAt: number | null): RecountResult {
    const { key, window } = token;
    const counter = this.#of(token);
    if (epochOf(counter) !== token.epoch) return { key, window, applied: false, uncertain: 0 };
    const since = counter.changes.filter(({ step }) => step > token.begun);
    const added = since.reduce((sum, change) => sum + change.added, 0);
    const removed = Math.min(
      count,
      since.reduce((sum, change) => sum + change.removed, 0),
    );
    counter.committed = count - removed;
    counter.uncertain = added + removed;
    counter.countedAt = this.#now;
    if (counter.known) this.#keepUntil(counter, forgetAt);
    else counter.forgetAt = forgetAt;
    counter.known = true;
    counter.recounts.push({ begun: token.begun, finished: this.#step });
    return { key, window, applied: true, uncertain: counter.uncertain };
  }

  #of(ref: CounterRef): OracleCounter {
    const name = `${ref.key} ${ref.window}`;
    const counter = this.#counters.get(name) ?? {
      known: false,
      markEndsAt: 0,
      committed: 0,
      uncertain: 0,
      countedAt: 0,
      forgetAt: null,
      changes: [],
      recounts: [],
      losses: [],
    };
    this.#counters.set(name, counter);
    return counter;
  }

  #lose(counter: OracleCounter): void {
    if (!counter.known && counter.markEndsAt === 0) return;
    counter.losses.push(this.#step);
    counter.known = false;
    counter.markEndsAt = 0;
    counter.committed = 0;
    counter.uncertain = 0;
  }

  #lapse(made: OracleReservation): void {
    made.state = 'lapsed';
    made.lapsedIn = this.#step;
    made.landed = made.charges.map((charge) => this.#putUnknown(charge, charge.amount));
  }

  /** Removes the units that a lapse left on a charge's counter, if they are still there. */
  #takeBack(made: OracleReservation, index: number, charge: Charge): void {
    const counter = this.#of(charge);
    const wasLost = counter.losses.some((step) => step > made.lapsedIn);
    if (made.landed[index] !== true || wasLost || charge.onUnknown === 'release') return;
    const wasRecounted = counter.recounts.some(({ begun }) => begun >= made.lapsedIn);
    if (charge.onUnknown === 'uncertain' && wasRecounted) return;
    const place = charge.onUnknown === 'uncertain' ? 'uncertain' : 'committed';
    counter[place] = Math.max(0, counter[place] - charge.amount);
  }

  #putUnknown(charge: Charge, units: number): boolean {
    return (
      charge.onUnknown === 'release' ||
      this.#put(charge, charge.onUnknown === 'commit' ? 'committed' : 'uncertain', units)
    );
  }

  /** A counter that is neither known nor being recounted takes no units. */
  #put(ref: CounterRef, place: 'committed' | 'uncertain', units: number): boolean {
    const counter = this.#of(ref);
    if (!counter.known && counter.markEndsAt === 0) return false;
    counter[place] += units;
    counter.changes.push({ step: this.#step, added: units, removed: 0 });
    return true;
  }

  #keepUntil(counter: OracleCounter, forgetAt: number | null): void {
    counter.forgetAt =
      counter.forgetAt === null || forgetAt === null ? null : Math.max(counter.forgetAt, forgetAt);
  }

  #held(ref: CounterRef): number {
    return [...this.#reservations.values()]
      .filter(({ state }) => state === 'held')
      .flatMap(({ charges }) => charges)
      .filter(({ key, window }) => key === ref.key && window === ref.window)
      .reduce((sum, { amount }) => sum + amount, 0);
  }

  #used(ref: CounterRef): number {
    const { committed, uncertain } = this.#of(ref);
    return committed + uncertain + this.#held(ref);
  }

  #reading(ref: CounterRef): CounterReading {
    const { committed, uncertain, countedAt } = this.#of(ref);
    return { committed, held: this.#held(ref), uncertain, countAgeMs: this.#now - countedAt };
  }
}

function epochOf({ recounts, losses }: OracleCounter): number {
  return recounts.length + losses.length;
}

function isSame(made: OracleReservation, request: Reservation): boolean {
  const comparable = ({ charges }: { charges: readonly Charge[] }) =>
    charges.map(({ key, window, amount }) => [key, window, amount]);
  return JSON.stringify(comparable(made)) === JSON.stringify(comparable(request));
}

function positions<T>(items: readonly T[], matches: (item: T) => boolean): number[] {
  return items.flatMap((item, index) => (matches(item) ? [index] : []));
}
