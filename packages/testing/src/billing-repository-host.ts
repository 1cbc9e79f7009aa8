import type {
  BillingRepository,
  CheckoutAttempt,
  EventKey,
  EventOutcome,
  Override,
  StoredSubscription,
} from '@tollgate/core';

/** What a billing repository's contract is run on. */
export interface BillingRepositoryHost<R extends BillingRepository = BillingRepository> {
  /** Stands in the names of the tests. */
  readonly name?: string;
  /** A repository on fresh, empty data. */
  create(): Promise<R> | R;
  /** A second handle on the same data, as another process would have. A repository of one process answers the same object. */
  createPeer(repository: R): Promise<BillingRepository> | BillingRepository;
  /** Reads what is stored, not through the port: that is what makes the contract believe it. */
  readonly inspect: {
    subscription(
      repository: R,
      key: { readonly provider: string; readonly id: string },
    ): Promise<StoredSubscription | null>;
    /** What an inbox row says; null where there is no row. `result` is null while it is not done. */
    event(repository: R, key: EventKey): Promise<{ readonly result: EventOutcome | null } | null>;
    checkout(repository: R, org: string): Promise<CheckoutAttempt | null>;
    override(repository: R, id: string): Promise<Override | null>;
    /** Rows of all tables together: what must not change when nothing was written. */
    rows(repository: R): Promise<number>;
  };
  /** The clock the repository judges leases on. `advance` moves it, or really waits where it cannot be moved. */
  readonly clock: {
    now(repository: R): Promise<number> | number;
    advance(repository: R, ms: number): Promise<void> | void;
  };
  readonly timing: {
    /** The leases the contract takes, ms. Small where `clock.advance` really waits. */
    readonly leaseMs: number;
    /** How far from an instant the contract keeps its distance: 0 for a clock that only moves when told. */
    readonly slackMs: number;
  };
  /** Ends what `create` and `createPeer` opened. */
  teardown(repository: R): Promise<void> | void;
  /** How to take the repository's backing away and give it back; or why it cannot go away by itself. */
  readonly outage:
    | {
        break(repository: R): Promise<void> | void;
        mend(repository: R): Promise<void> | void;
        readonly answersWithinMs: number;
      }
    | { readonly impossibleBecause: string };
}
