import type { CounterRef, CounterStore } from '@tollgate/core';

/** A counter as it is stored, read behind the store's back. */
export interface StoredCounter {
  readonly committed: number;
  readonly held: number;
  readonly uncertain: number;
}

/** What a counter store's contract is run on. */
export interface CounterStoreHost<S extends CounterStore = CounterStore> {
  /** Stands in the names of the tests. */
  readonly name?: string;
  /** A store on fresh, empty data. */
  create(): Promise<S> | S;
  /** A second handle on the same data, as another process would have. A store of one process answers the same object. */
  createPeer(store: S): Promise<CounterStore> | CounterStore;
  /** Reads what is stored, not through the port: that is what makes the contract believe it. */
  readonly inspect: {
    /** The stored numbers of a counter; null where there is no count. Leases that ran out may still be told as held. */
    counter(store: S, counter: CounterRef & { readonly org: string }): Promise<StoredCounter | null>;
    /** The orgs that take any room. */
    orgs(store: S): Promise<readonly string[]>;
    /** How many reservations and remembered ids take room, over all orgs. */
    records(store: S): Promise<number>;
  };
  /** The clock the store judges leases on. `advance` moves it, or really waits where it cannot be moved. */
  readonly clock: {
    now(store: S): Promise<number> | number;
    advance(store: S, ms: number): Promise<void> | void;
  };
  readonly timing: CounterStoreTiming;
  /** Ends what `create` and `createPeer` opened. */
  teardown(store: S): Promise<void> | void;
  /** How to take the store's backing away and give it back; or why it cannot go away by itself. */
  readonly outage:
    | {
        break(store: S): Promise<void> | void;
        mend(store: S): Promise<void> | void;
        readonly answersWithinMs: number;
      }
    | { readonly impossibleBecause: string };
}

/** The durations a contract works with, ms. Small where `clock.advance` really waits. */
export interface CounterStoreTiming {
  readonly leaseMs: number;
  readonly rememberMs: number;
  /** How long the store keeps a lapsed lease for a late commit. */
  readonly lapsedKeepMs: number;
  /** How far from an instant the contract keeps its distance: 0 for a clock that only moves when told. */
  readonly slackMs: number;
}
