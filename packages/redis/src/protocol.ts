/** What the batch script is asked to do, as the first number of an operation. */
export const OPERATION = {
  reserve: 1,
  commit: 2,
  release: 3,
  unknown: 4,
  /** A commit of some units of the charges. */
  commitPart: 5,
  renew: 6,
  adjust: 7,
  read: 8,
  beginRecount: 9,
  finishRecount: 10,
  /** Makes a reservation known again after the store lost it; changes nothing when it is known. */
  reassert: 11,
  /** A release of a reservation whose caller was told that it was not made: its id is not remembered. */
  forget: 12,
} as const;

/** What the batch script answers, as the first number of an operation's result. */
export const RESULT = {
  /** Reserved, settled, renewed, adjusted, read. */
  done: 0,
  denied: 1,
  unknown: 2,
  repeated: 3,
  conflict: 4,
  crowded: 5,
  gone: 6,
  /** Reserves are refused while Redis is over its `maxmemory`. */
  refused: 7,
  /** A key has a type that is not ours, or its slot is being moved; nothing was changed. */
  unreadable: 8,
  /** Committed after the lease had run out. */
  late: 9,
  /** Settled, but some counters that were to take units are not there. */
  incomplete: 10,
} as const;

/** States of a reservation, by number. */
export const STATES = ['held', 'lapsed', 'committed', 'released', 'unknown'] as const;

/** Places where the units of a lapsed or unsettled charge are counted; also what a charge's `onUnknown` is sent as. */
export const PLACE = { uncertain: 1, release: 2, commit: 3 } as const;

/** Kinds of an adjustment, by number. */
export const CHANGE = { charged: 1, refunded: 2, created: 3, deleted: 4 } as const;
