import type {
  BillingRepository,
  CheckoutAttempt,
  EventKey,
  EventOutcome,
  Override,
  StoredSubscription,
} from '@tollgate/core';

/** What the billing repository contract runs on. */
export interface BillingRepositoryHost<R extends BillingRepository = BillingRepository> {
  /** Shown in the names of the tests. */
  readonly name?: string;
  /** A repository on fresh, empty data. */
  create(): Promise<R> | R;
  /** A second handle on the same data, as another process would have. An in-process repository returns the same object. */
  createPeer(repository: R): Promise<BillingRepository> | BillingRepository;
  /** Reads what is stored without going through the port, so that the contract does not rely on the repository's own answers. */
  readonly inspect: {
    subscription(
      repository: R,
      key: { readonly provider: string; readonly id: string },
    ): Promise<StoredSubscription | null>;
    /** The inbox row of an event; null if there is none. `result` is null until the event is done. */
    event(repository: R, key: EventKey): Promise<{ readonly result: EventOutcome | null } | null>;
    checkout(repository: R, org: string): Promise<CheckoutAttempt | null>;
    override(repository: R, id: string): Promise<Override | null>;
    /** The number of rows in all tables together. It must not change when nothing is written. */
    rows(repository: R): Promise<number>;
  };
  /** The clock the repository judges leases by. `advance` moves it, or really waits if it cannot be moved. */
  readonly clock: {
    now(repository: R): Promise<number> | number;
    advance(repository: R, ms: number): Promise<void> | void;
  };
  readonly timing: {
    /** Length of the leases the contract takes, ms. Keep it short if `clock.advance` really waits. */
    readonly leaseMs: number;
    /** How far the contract stays away from an exact instant, ms: 0 for a clock that moves only when told to. */
    readonly slackMs: number;
  };
  /** Closes what `create` and `createPeer` opened. */
  teardown(repository: R): Promise<void> | void;
  /** How to take down the service behind the repository and bring it back, or why it cannot fail separately. */
  readonly outage:
    | {
        break(repository: R): Promise<void> | void;
        mend(repository: R): Promise<void> | void;
        readonly answersWithinMs: number;
      }
    | { readonly impossibleBecause: string };
}
