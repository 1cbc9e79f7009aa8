/** One counter of an org: a quota key in one concrete window (`lifetime`, `day:2026-04-09`, `session:abc`). */
export interface CounterRef {
  readonly key: string;
  readonly window: string;
}

/**
 * What becomes of held units when nobody knows how their handler ended (it failed with a 5xx, or its lease ran out):
 * `uncertain` counts them until the next recount (capacity keys), `release` gives them back, `commit` keeps them.
 */
export type OnUnknown = 'uncertain' | 'release' | 'commit';

/** Units requested from one counter. */
export interface Charge extends CounterRef {
  /** 1 to 2^53-1. */
  readonly amount: number;
  /** The effective limit the decision is made against; null is unlimited. */
  readonly limit: number | null;
  readonly onUnknown: OnUnknown;
  /**
   * The instant (epoch ms), past the window's end, from which the store has forgotten the counter: it is then unknown again.
   * If one counter is given several instants, the latest applies; null is the latest of all, and keeps the counter for good.
   */
  readonly forgetAt: number | null;
}

/** A reservation as its holder knows it: all that is needed to settle it from any process. */
export interface Reservation {
  readonly org: string;
  /** Unique within the org; 1 to 128 printable ASCII characters. */
  readonly id: string;
  /** At least one; no counter twice. */
  readonly charges: readonly Charge[];
  /**
   * How long (ms, at most 30 days) the store recognises the id after the reservation was settled or its lease ran out.
   * 0 for an id that only its own handle knows, which settles it once. More for an id that the caller chose, since repeats of it may
   * come from anywhere. A settle may ask for more than its reserve did.
   */
  readonly rememberMs: number;
}

/** A counter as the store sees it, on the store's own clock. */
export interface CounterReading {
  /** Units known to be in use. */
  readonly committed: number;
  /** Units of live reservations. */
  readonly held: number;
  /** Units that may or may not be in use. They count towards the limit until a recount decides. */
  readonly uncertain: number;
  /** Milliseconds since the last recount was finished. */
  readonly countAgeMs: number;
}

export type ReservationState = 'held' | 'lapsed' | 'committed' | 'released' | 'unknown';

export type ReserveOutcome =
  /** All units of all charges are held. Readings are taken after the reserve, in the order of the charges. */
  | { readonly outcome: 'reserved'; readonly readings: readonly CounterReading[] }
  /** Nothing is held: the charges at these positions do not fit. Readings are as of the decision. */
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

/** Called with how a settle ended. Must not throw. `settled` may still come after `failed`: see {@link SettleRequest.onLateAnswer}. */
export interface SettleListener {
  settled(outcome: SettleOutcome): void;
  /** @param error - a `TollgateError`, as `settle` would have thrown it */
  failed(error: unknown): void;
}

export type SettleOutcome =
  /**
   * Done, once.
   * `late`: the lease had run out before a commit; its units are counted nevertheless. `overLimit`: these units also take a counter above
   * the limit it was reserved against. Both are false for anything but a late commit.
   * `missing`, present only when there are any: the positions of charges whose units no counter could take, because the store has no count
   * for them and no recount has begun. Rows are seen by the next recount; the caller has to `adjust` the rest.
   */
  | {
      readonly outcome: 'settled';
      readonly late: boolean;
      readonly overLimit: boolean;
      readonly missing?: readonly number[];
    }
  /** It was settled before, as `state`; nothing changed. */
  | { readonly outcome: 'repeated'; readonly state: ReservationState }
  /** The store does not know the reservation (never made, made with other charges, forgotten, or lost with its data); nothing changed. */
  | { readonly outcome: 'gone' };

export interface SettleRequest extends Reservation {
  readonly as: SettleAs;
  /** Units of each charge that a commit keeps. @default all */
  readonly amounts?: readonly number[];
  /** Called with the answer if the store learns it only after the settle failed: what was sent before an outage may still be done. */
  readonly onLateAnswer?: (outcome: SettleOutcome) => void;
}

/** A change of a count outside any reservation. `amount` is 1 to 2^53-1 units. */
export interface Adjustment extends CounterRef {
  readonly amount: number;
  /**
   * `charged`/`refunded` (metered keys): committed grows, or shrinks to no less than 0.
   * `created`/`deleted` (capacity keys): rows were added or removed. The host's next count may or may not include that already, so
   * the units become uncertain: they are added to `uncertain`, or moved there from `committed` (as many as there are).
   * Neither frees capacity by itself; the next decision that would be refused because of them recounts. Sums stop at 2^53-1.
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
   * False if, since the token was made, another recount was finished, the counter was lost, or the store cannot tell what changed: the
   * count is of no use. Look at the counter again before you count again, since the other recount may be enough.
   */
  readonly applied: boolean;
  /** Units still uncertain afterwards: changes between begin and finish. 0 means that the count is exact; also 0 when not applied. */
  readonly uncertain: number;
}

/** What a store in the host's own database can do in addition: strict mode. */
export interface TransactionalCommits {
  /**
   * Commits a reservation as part of an open transaction of the host's: its units are counted if and only if that transaction commits.
   * Settling it again afterwards changes nothing.
   *
   * @param request.transaction - the host's client on which the transaction is open, of the kind the store works with
   * @throws TollgateError `reservation_lapsed` when the units are no longer held: the host must roll back. `invalid_configuration`
   * for anything that is not an open transaction, `quota_unavailable` when the database cannot do it.
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
 * Time is the store's own clock; a deadline counts as past at the very instant it names.
 *
 * Amounts are whole numbers. A sum never exceeds 2^53-1 (such a reserve is denied) and never falls below 0. Invalid arguments fail before
 * anything changes: an amount (NaN, a fraction, out of range) with `invalid_amount`, a limit with `invalid_limit`, and an id, a duration,
 * a list of charges or a reservation's org with `invalid_request`.
 *
 * What nobody will ask for again is dropped. Calls that change nothing store nothing: reads, and reserves of orgs without a count.
 *
 * A refusal is a value. A failure (the store is away, slow, or cannot be trusted) is a `TollgateError` with code `quota_unavailable`,
 * within a bounded time. The call may then have taken effect or not, and takes effect at most once.
 */
export interface CounterStore {
  /**
   * Holds the units of every charge, or of none.
   *
   * Reserved only if `used + amount <= limit` for every charge. Concurrent callers, in any number of processes, are decided one after
   * the other. The hold is a lease: without `renew` or `settle` it runs out `leaseMs` after it was made, and from then on each
   * charge's `onUnknown` decides about its units. No sweeper is needed for that.
   *
   * Checked in this order: repeat or conflict of the id, missing counts, `maxHeld`, limits. An id in state `lapsed`, or within
   * `rememberMs` of its end, answers `repeated`. A repeat does not extend the lease.
   */
  reserve(
    request: Reservation & { readonly leaseMs: number; readonly maxHeld: number },
  ): Promise<ReserveOutcome>;

  /**
   * Ends a reservation, once.
   *
   * `commit` keeps `amounts[i]` units of charge i (all of them by default; 0 to the charge's amount) and gives the rest back.
   * `release` gives all of them back: use it only if nothing was created. `unknown` does what each charge's `onUnknown` says.
   *
   * A commit counts even after the lease has run out, unless the store has forgotten the reservation (`gone`). It keeps one for some
   * minutes after its lease ran out, and for `rememberMs`. Units that the lapse left uncertain or committed are moved, not counted twice;
   * the rest of a partial commit is given back. The same holds for a `release` or `unknown` of a lapsed reservation.
   *
   * If a recount of a counter was finished while the reservation was open, nobody knows whether that count included the new rows:
   * for charges whose `onUnknown` is `uncertain`, a commit then adds to `uncertain` instead of `committed`.
   *
   * The store uses the charges it was given at the reserve, and remembers the id for the longer `rememberMs` of reserve and settle. A
   * counter without a count takes no units unless a recount of it has begun; the answer lists it in `missing`.
   */
  settle(request: SettleRequest): Promise<SettleOutcome>;

  /**
   * `settle` of all units, for callers that do not wait: the store may hold a commit back for some milliseconds, to send it with what
   * comes next. Never throws; the listener is called, possibly before this returns. Optional: without it, `settle` is called instead.
   */
  settleUnawaited?(reservation: Reservation, as: SettleAs, listener: SettleListener): void;

  /** Moves the end of live leases to `leaseMs` from now. Returns, in order, whether each is still held. A lapsed lease stays lapsed. */
  renew(request: {
    readonly leases: readonly { readonly org: string; readonly id: string }[];
    readonly leaseMs: number;
  }): Promise<readonly boolean[]>;

  /**
   * Changes counts outside any reservation, all or none. If the store has no count for some of them, none is changed, and `missing`
   * lists their positions: recount those, then call again, since the count may be older than the change.
   *
   * With an `id`, a repeat within `rememberMs` (at most 30 days) changes nothing and answers `repeated: true`. These ids have the form of
   * reservation ids, but are apart from them: the same id in both never collides.
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
   * Marks the moment before the host counts. Any number of recounts may be open at once; of those that had begun when one of them is
   * finished, only that one is applied.
   *
   * For a counter without a count, the store keeps the mark for 10 minutes after the last begin, so that a count which was taken
   * before the counter appeared and was lost again is not applied. Changes in the meantime are kept with the mark, and count as made
   * since each of its tokens was made.
   */
  beginRecount(request: {
    readonly org: string;
    readonly counters: readonly CounterRef[];
  }): Promise<readonly RecountToken[]>;

  /**
   * Sets `committed` to what the host counted since `beginRecount`, and clears earlier uncertainty.
   *
   * No concurrent change is lost. Of changes since the token was made:
   * - Units committed, charged, created, or settled or lapsed as `uncertain` or `commit`, may be in the count or not: they are added to
   *   `uncertain`. (A lapse and its late commit are two changes: if both came, the units are uncertain twice, until the next recount.)
   * - Units deleted or refunded may still be in the count: all of them, even those that `adjust` found nothing to take from, are moved to
   *   `uncertain`, as far as the count has that many.
   *
   * Live reservations stay held; see `settle` for their commits. Reservations that lapsed before the token was made are taken to be in
   * the count. If a sum exceeds 2^53-1, the uncertain units are cut first.
   */
  finishRecount(request: {
    readonly org: string;
    readonly counts: readonly (RecountToken & { readonly count: number; readonly forgetAt: number | null })[];
  }): Promise<readonly RecountResult[]>;

  /** Commits inside the host's own transaction; null for a store that is not in the host's database. */
  readonly transactions: TransactionalCommits | null;

  /** Sends what is still pending, and closes what the store itself opened. Later calls fail with `quota_unavailable`. */
  close(): Promise<void>;
}
