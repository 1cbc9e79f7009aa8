import type { CounterRef, CounterStore } from '@tollgate/core';

/** A counter as it is stored, read without going through the store. */
export interface StoredCounter {
  readonly committed: number;
  readonly held: number;
  readonly uncertain: number;
}

/** What the counter store contract runs on. */
export interface CounterStoreHost<S extends CounterStore = CounterStore> {
  /** Shown in the names of the tests. */
  readonly name?: string;
  /** A store on fresh, empty data. */
  create(): Promise<S> | S;
  /** A second handle on the same data, as another process would have. An in-process store returns the same object. */
  createPeer(store: S): Promise<CounterStore> | CounterStore;
  /** Reads what is stored without going through the port, so that the contract does not rely on the store's own answers. */
  readonly inspect: {
    /** The stored numbers of a counter; null if it has no count. Expired leases may still be reported as held. */
    counter(store: S, counter: CounterRef & { readonly org: string }): Promise<StoredCounter | null>;
    /** The orgs for which anything is stored. */
    orgs(store: S): Promise<readonly string[]>;
    /** How many reservations and remembered ids are stored, across all orgs. */
    records(store: S): Promise<number>;
  };
  /** The clock the store judges leases by. `advance` moves it, or really waits if it cannot be moved. */
  readonly clock: {
    now(store: S): Promise<number> | number;
    advance(store: S, ms: number): Promise<void> | void;
  };
  readonly timing: CounterStoreTiming;
  /** Closes what `create` and `createPeer` opened. */
  teardown(store: S): Promise<void> | void;
  /** How to take down the service behind the store and bring it back, or why it cannot fail separately. */
  readonly outage:
    | {
        break(store: S): Promise<void> | void;
        mend(store: S): Promise<void> | void;
        readonly answersWithinMs: number;
      }
    | { readonly impossibleBecause: string };
}

/** The durations the contract uses, ms. Keep them short if `clock.advance` really waits. */
export interface CounterStoreTiming {
  readonly leaseMs: number;
  readonly rememberMs: number;
  /** How long the store keeps a lapsed lease so that a late commit still finds it. */
  readonly lapsedKeepMs: number;
  /** How far the contract stays away from an exact instant: 0 for a clock that moves only when told to. */
  readonly slackMs: number;
}
