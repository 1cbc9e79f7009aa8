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
  /**
   * The instant (epoch ms) from which the store has forgotten the counter: it is then unknown again. Of several instants told
   * for one counter the latest counts; null, the latest of all, keeps it for good. Past the window's end.
   */
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
   * How long (ms) the store recognises the id after it was settled, or after its lease ran out. 0 for an id that only its own handle knows, which settles
   * it once; more for an id the caller chose, whose repeats may come from anywhere. A settle may ask for more than the reserve did.
   * At most 30 days.
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
  /** The id is in use with other charges (keys, windows, amounts or their order); nothing changed. */
  | { readonly outcome: 'conflict' }
  /** The org has `maxHeld` live reservations already; nothing is held. */
  | { readonly outcome: 'crowded' };

/** How a reservation ends; see {@link CounterStore.settle}. */
export type SettleAs = 'commit' | 'release' | 'unknown';

/** Is told how a settle ended; it throws nothing. It may be `settled` late after it `failed`: see {@link SettleRequest.onLateAnswer}. */
export interface SettleListener {
  settled(outcome: SettleOutcome): void;
  /** @param error - a `TollgateError`, as `settle` would have thrown it */
  failed(error: unknown): void;
}

export type SettleOutcome =
  /**
   * Done, once. `late`: the lease had run out before a commit (its units are counted all the same);
   * `overLimit`: and with them a counter stands above the limit it was reserved against. Both are false for anything but a late commit.
   * `missing`, told only when there are any: the positions of charges with units to count and no counter to take them. The store
   * has no count of these and no recount begun; what is not of rows, which the next recount sees, is for the caller to `adjust`.
   */
  | {
      readonly outcome: 'settled';
      readonly late: boolean;
      readonly overLimit: boolean;
      readonly missing?: readonly number[];
    }
  /** It was settled before, as `state`; nothing changed. */
  | { readonly outcome: 'repeated'; readonly state: ReservationState }
  /** The store knows no such reservation (never made, made with other charges, forgotten, or lost with the store's data); nothing changed. */
  | { readonly outcome: 'gone' };

export interface SettleRequest extends Reservation {
  readonly as: SettleAs;
  /** Units of each charge that a commit keeps. @default all */
  readonly amounts?: readonly number[];
  /** Told of the answer when the store learns it only after it had failed: what was on its way to a store that was away may still be done. */
  readonly onLateAnswer?: (outcome: SettleOutcome) => void;
}

/** A change of a count outside any reservation. Units: 1 to 2^53-1. */
export interface Adjustment extends CounterRef {
  readonly amount: number;
  /**
   * `charged`/`refunded` (metered keys): committed grows, or shrinks to no less than 0.
   * `created`/`deleted` (capacity keys): rows came or went. Since the host's next count may or may not show them already,
   * the units become uncertain: added to `uncertain`, or moved there from `committed` (as many as there are).
   * Neither frees capacity by itself; the next decision they would refuse recounts. Sums stop at 2^53-1.
   */
  readonly change: 'charged' | 'refunded' | 'created' | 'deleted';
  readonly forgetAt: number | null;
}

export interface RecountToken extends CounterRef {
  /** Opaque; hand it back to `finishRecount`. */
  readonly token: string;
  /** The counter as it was when the token was made; null where the store had no count. */
  readonly reading: CounterReading | null;
}

export interface RecountResult extends CounterRef {
  /**
   * False when another recount was finished, the counter was lost, or the store cannot tell what changed, since the token was
   * made: what was counted is of no use. Look at the counter again before counting again: the other recount may be enough.
   */
  readonly applied: boolean;
  /** Units still uncertain after it: changes that came between begin and finish. 0 means the count is exact; 0 too when not applied. */
  readonly uncertain: number;
}

/** What a store in the host's own database can do beside: strict mode. */
export interface TransactionalCommits {
  /**
   * Commits a reservation as part of an open transaction of the host's: its units are counted if and only if that transaction commits.
   * Settling it again afterwards changes nothing.
   *
   * @param request.transaction - the host's client on which the transaction is open, of the kind the store works with
   * @throws TollgateError `reservation_lapsed` when the units are not held any more: the host must roll back. `invalid_configuration`
   * for something that is no open transaction, `quota_unavailable` when the database cannot do it.
   */
  commitWithin(
    request: Reservation & { readonly transaction: object; readonly amounts?: readonly number[] },
  ): Promise<void>;
}

/**
 * Counts units in use and holds reservations, for every process of the host at once.
 *
 * For each counter the store keeps `committed`, `uncertain`, the live reservations, and whether it has a count at all.
 * `used = committed + held + uncertain`. Every method is one atomic step per org: no caller sees or causes half of one.
 * Time is the store's own clock; an instant that is reached is over. Amounts are whole numbers; a sum never passes 2^53-1 (such a
 * reserve is denied) nor falls below 0. A number that is none (NaN, a fraction, out of range) fails with `invalid_amount`, a limit with
 * `invalid_limit`, an id, a duration, a list of charges or a reservation's org with `invalid_request`, before anything changes.
 *
 * What nobody will ask for again is dropped, and what changes nothing stores nothing: reads, and reserves of orgs without a count.
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
   * within `rememberMs` of its end answers `repeated`. A repeat does not lengthen the lease.
   */
  reserve(
    request: Reservation & { readonly leaseMs: number; readonly maxHeld: number },
  ): Promise<ReserveOutcome>;

  /**
   * Ends a reservation, once.
   *
   * `commit` keeps `amounts[i]` units of charge i (all of them by default; 0 to the charge's amount) and gives the rest back.
   * `release` gives all back: say it only if nothing was created. `unknown` does what each charge's `onUnknown` says.
   * A commit counts even when the lease has run out, unless the store has forgotten the reservation (`gone`): it keeps one for some
   * minutes after its lease ran out, and for `rememberMs`. Units that the lapse left uncertain or committed are moved, not
   * counted twice; the rest of a partial commit is given back. A release or an unknown of a lapsed reservation likewise.
   *
   * If a recount of a counter was finished while the reservation was open, nobody knows whether that count saw the new rows:
   * a commit then adds to `uncertain` instead of `committed`, for charges whose `onUnknown` is `uncertain`.
   *
   * The store goes by the charges it was given at the reserve, and remembers the id for the longer `rememberMs` of reserve and settle. A
   * counter that has no count takes no units, unless a recount of it was begun; the answer names it as `missing`.
   */
  settle(request: SettleRequest): Promise<SettleOutcome>;

  /**
   * `settle` of all units for somebody who does not wait: the store may gather a commit with what comes next, for some milliseconds.
   * Throws nothing; the listener is told, maybe while this is called. Optional: a store without it is asked to `settle`.
   */
  settleUnawaited?(reservation: Reservation, as: SettleAs, listener: SettleListener): void;

  /** Moves the end of live leases to `leaseMs` from now; answers, in order, whether each is still held. A lapsed lease stays lapsed. */
  renew(request: {
    readonly leases: readonly { readonly org: string; readonly id: string }[];
    readonly leaseMs: number;
  }): Promise<readonly boolean[]>;

  /**
   * Changes counts outside any reservation, all or none: none, when the store has no count for some of them (their positions
   * come back as `missing`): recount those, then ask again, for the count may be older than the change. With an `id`, a repeat within
   * `rememberMs` (30 days at most) changes nothing and answers `repeated: true`; these ids, of the same characters, and those of
   * reservations do not meet.
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

  /**
   * Marks the moment before the host counts. Any number of recounts may be open at once; of those begun before one of them is
   * finished, only that one is applied. For a counter without a count the store keeps the mark for 10 minutes after the last begin, so
   * that a count taken before the counter came and was lost again is not applied. What changes meanwhile is kept with the mark, and
   * counts as changed since each of its tokens was made.
   */
  beginRecount(request: {
    readonly org: string;
    readonly counters: readonly CounterRef[];
  }): Promise<readonly RecountToken[]>;

  /**
   * Sets `committed` to what the host counted since `beginRecount`, and forgets earlier uncertainty.
   *
   * Loses no concurrent change: units committed, settled or lapsed as `uncertain` or `commit`, charged or created since the token was
   * made may be in the count or not, so they are added as `uncertain`. Units deleted or refunded since then may still be in the count:
   * as many as it has are moved to `uncertain`, all of them, also those that `adjust` found nothing to take from. (A lapse and its
   * late commit are two changes: when both came since the token, the units are uncertain twice, until the next recount.)
   * Live reservations stay held; see `settle` for their commits. Lapsed reservations whose lapse came before the token was made are
   * taken as seen by the count. Of a sum above 2^53-1 the uncertain units are cut first.
   */
  finishRecount(request: {
    readonly org: string;
    readonly counts: readonly (RecountToken & { readonly count: number; readonly forgetAt: number | null })[];
  }): Promise<readonly RecountResult[]>;

  /** Commits inside the host's own transaction; null for a store that is not in the host's database. */
  readonly transactions: TransactionalCommits | null;

  /** Sends what is still on its way and lets go of what the store itself opened. Further calls fail with `quota_unavailable`. */
  close(): Promise<void>;
}
