/** One counter of an org: a quota key in one concrete window (`lifetime`, `day:2026-04-09`, `session:abc`). */
export interface CounterRef {
  readonly key: string;
  readonly window: string;
}

/**
 * What becomes of held units when nobody knows how their handler ended (it failed with a 5xx, or its lease ran out):
 * `uncertain` keeps counting them until a recount tells (capacity keys), `release` gives them back, `commit` keeps them.
 */
export type OnUnknown = 'uncertain' | 'release' | 'commit';

/** Units asked of one counter. */
export interface Charge extends CounterRef {
  /** 1 to 2^53-1. */
  readonly amount: number;
  /** The effective limit the decision is made against; null is unlimited. */
  readonly limit: number | null;
  readonly onUnknown: OnUnknown;
  /** The instant (epoch ms) after which the store may forget the counter; null keeps it for good. Past the window's end. */
  readonly forgetAt: number | null;
}

/** A reservation as its holder knows it: enough to settle it from any process. */
export interface Reservation {
  readonly org: string;
  /** Unique within the org; 1 to 128 printable ASCII characters. */
  readonly id: string;
  /** At least one; no counter twice. */
  readonly charges: readonly Charge[];
  /**
   * How long (ms) the store recognises the id after it was settled. 0 for an id that only its own handle knows, which settles
   * it once; more for an id the caller chose, whose repeats may come from anywhere.
   */
  readonly rememberMs: number;
}

/** A counter as the store sees it, on the store's own clock. */
export interface CounterReading {
  /** Units known to be in use. */
  readonly committed: number;
  /** Units of live reservations. */
  readonly held: number;
  /** Units that may or may not be in use; they count towards the limit until a recount tells. */
  readonly uncertain: number;
  /** Milliseconds since the last recount was finished. */
  readonly countAgeMs: number;
}

export type ReservationState = 'held' | 'lapsed' | 'committed' | 'released' | 'unknown';

export type ReserveOutcome =
  /** All units of all charges are held. Readings are after the reserve, in the order of the charges. */
  | { readonly outcome: 'reserved'; readonly readings: readonly CounterReading[] }
  /** Nothing is held: the charges at these positions do not fit. Readings are of the moment of the decision. */
  | {
      readonly outcome: 'denied';
      readonly misfits: readonly number[];
      readonly readings: readonly CounterReading[];
    }
  /** Nothing is held: the store has no count for the charges at these positions. Recount them, then ask again. */
  | { readonly outcome: 'unknown'; readonly missing: readonly number[] }
  /** The same reservation was made before; nothing changed. */
  | { readonly outcome: 'repeated'; readonly state: ReservationState }
  /** The id is in use with other charges (keys, windows or amounts); nothing changed. */
  | { readonly outcome: 'conflict' }
  /** The org has `maxHeld` live reservations already; nothing is held. */
  | { readonly outcome: 'crowded' };

export type SettleOutcome =
  /**
   * Done, once. `late`: the lease had run out before a commit (its units are counted all the same);
   * `overLimit`: and with them a counter stands above the limit it was reserved against.
   */
  | { readonly outcome: 'settled'; readonly late: boolean; readonly overLimit: boolean }
  /** It was settled before, as `state`; nothing changed. */
  | { readonly outcome: 'repeated'; readonly state: ReservationState }
  /** The store knows no such reservation (never made, forgotten, or lost with the store's data); nothing changed. */
  | { readonly outcome: 'gone' };

/** A change of a count outside any reservation. Units: 1 to 2^53-1. */
export interface Adjustment extends CounterRef {
  readonly amount: number;
  /**
   * `charged`/`refunded` (metered keys): committed grows, or shrinks to no less than 0.
   * `created`/`deleted` (capacity keys): rows came or went. Since the host's next count may or may not show them already,
   * the units become uncertain: added to `uncertain`, or moved there from `committed` (as many as there are).
   * Neither frees capacity by itself; the next decision they would refuse recounts.
   */
  readonly change: 'charged' | 'refunded' | 'created' | 'deleted';
  readonly forgetAt: number | null;
}

export interface RecountToken extends CounterRef {
  /** Opaque; hand it back to `finishRecount`. */
  readonly token: string;
  /** Whether the store had a count when the token was made. */
  readonly known: boolean;
}

export interface RecountResult extends CounterRef {
  /** False when another recount was finished, or the counter was lost, since the token was made: begin again. */
  readonly applied: boolean;
  /** Units still uncertain after it: changes that came between begin and finish. 0 means the count is exact. */
  readonly uncertain: number;
}

/**
 * Counts units in use and holds reservations, for every process of the host at once.
 *
 * For each counter the store keeps `committed`, `uncertain`, the live reservations, and whether it has a count at all.
 * `used = committed + held + uncertain`. Every method is one atomic step per org: no caller sees or causes half of one.
 * Time is the store's own clock. Amounts are whole numbers; a sum never passes 2^53-1 (such a reserve is denied) nor falls below 0.
 *
 * A refusal is a value. A failure (the store is away, slow, or cannot be trusted) is a `TollgateError` with code
 * `quota_unavailable`, within a bounded time; what was asked may then have happened or not, and happens at most once.
 */
export interface CounterStore {
  /**
   * Holds the units of every charge, or of none.
   *
   * Reserved only if `used + amount <= limit` for every charge. Racing callers, in any number of processes, are decided one after
   * the other. The hold is a lease: without `renew` or `settle` it runs out `leaseMs` after it was made, and from then on its
   * units are what each charge's `onUnknown` says. No sweeper is needed for that.
   *
   * Checked in this order: repeat or conflict of the id, missing counts, `maxHeld`, limits. An id in state `lapsed` or
   * within `rememberMs` of its end answers `repeated`.
   */
  reserve(
    request: Reservation & { readonly leaseMs: number; readonly maxHeld: number },
  ): Promise<ReserveOutcome>;

  /**
   * Ends a reservation, once.
   *
   * `commit` keeps `amounts[i]` units of charge i (all of them by default; 0 to the charge's amount) and gives the rest back.
   * `release` gives all back: say it only if nothing was created. `unknown` does what each charge's `onUnknown` says.
   * A commit counts even when the lease has run out, unless the store has forgotten the reservation (`gone`).
   *
   * If a recount of a counter was finished while the reservation was open, nobody knows whether that count saw the new rows:
   * a commit then adds to `uncertain` instead of `committed`, for charges whose `onUnknown` is `uncertain`.
   */
  settle(
    request: Reservation & {
      readonly as: 'commit' | 'release' | 'unknown';
      readonly amounts?: readonly number[];
    },
  ): Promise<SettleOutcome>;

  /** Moves the end of live leases to `leaseMs` from now; answers, in order, whether each is still held. A lapsed lease stays lapsed. */
  renew(request: {
    readonly leases: readonly { readonly org: string; readonly id: string }[];
    readonly leaseMs: number;
  }): Promise<readonly boolean[]>;

  /**
   * Changes counts outside any reservation, all or none: none, when the store has no count for some of them (their positions
   * come back as `missing`). With an `id`, a repeat within `rememberMs` changes nothing and answers `repeated: true`.
   */
  adjust(request: {
    readonly org: string;
    readonly adjustments: readonly Adjustment[];
    readonly id?: string;
    readonly rememberMs?: number;
  }): Promise<{ readonly missing: readonly number[]; readonly repeated: boolean }>;

  /** Reads counters of one org in one round trip; null where the store has no count. Writes nothing. */
  read(request: {
    readonly org: string;
    readonly counters: readonly CounterRef[];
  }): Promise<readonly (CounterReading | null)[]>;

  /** Marks the moment before the host counts. Any number of recounts may be open at once. */
  beginRecount(request: {
    readonly org: string;
    readonly counters: readonly CounterRef[];
  }): Promise<readonly RecountToken[]>;

  /**
   * Sets `committed` to what the host counted since `beginRecount`, and forgets earlier uncertainty.
   *
   * Loses no concurrent change: units committed, settled as unknown, created or deleted since the token was made may be in the
   * count or not, so they are `uncertain` afterwards. Live reservations stay held; see `settle` for their commits.
   * Lapsed reservations whose lease ran out before the token was made are taken as seen by the count.
   */
  finishRecount(request: {
    readonly org: string;
    readonly counts: readonly (RecountToken & { readonly count: number; readonly forgetAt: number | null })[];
  }): Promise<readonly RecountResult[]>;

  /** Sends what is still on its way and lets go of what the store itself opened. Further calls fail with `quota_unavailable`. */
  close(): Promise<void>;
}
