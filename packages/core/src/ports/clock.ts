/** The time of this process, for decisions that no other process has to agree on. */
export interface Clock {
  /** Epoch ms. */
  now(): number;
}

/** Generates identifiers that nobody can guess. */
export interface Ids {
  /** A fresh ULID: 26 characters of Crockford base 32, sorted by time. */
  next(): string;
}
