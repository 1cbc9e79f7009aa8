/** Codes of the batch script's operations. */
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
  /** Holds a reservation again after the store lost it; changes nothing if the store knows it. */
  reassert: 11,
  /** Releases a reservation whose caller was told that the reserve failed; its id is not remembered. */
  forget: 12,
} as const;

/** Codes of the batch script's results: the first number of an operation's result. */
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
  /** A key is damaged or of a foreign type, or its slot is being moved; nothing was changed. */
  unreadable: 8,
  /** Committed after the lease had run out. */
  late: 9,
  /** Settled, but some counters that should have taken units do not exist. */
  incomplete: 10,
} as const;

/** States of a reservation, by number. */
export const STATES = ['held', 'lapsed', 'committed', 'released', 'unknown'] as const;

/** Where the units of a charge are counted once its lease lapsed or its outcome is unknown; also the wire form of `onUnknown`. */
export const PLACE = { uncertain: 1, release: 2, commit: 3 } as const;

/** Kinds of an adjustment, by number. */
export const CHANGE = { charged: 1, refunded: 2, created: 3, deleted: 4 } as const;
