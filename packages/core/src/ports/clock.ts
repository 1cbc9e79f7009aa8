/** Tells the time of this process, for decisions that no other process must agree on. */
export interface Clock {
  /** Epoch ms. */
  now(): number;
}

/** Makes identifiers nobody can guess. */
export interface Ids {
  /** A fresh ULID: 26 characters of Crockford base 32, sorted by time. */
  next(): string;
}
