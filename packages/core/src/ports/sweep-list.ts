/** Instants are epoch ms. */

/**
 * What the sweep did, or is about to do, to one row of the host's; at most one a row (resource and id).
 * `suspend` and `remove` are seen twice before they happen, `restore` undoes a suspend at once.
 */
export interface RowAction {
  readonly resource: string;
  readonly id: string;
  readonly action: 'suspend' | 'remove' | 'restore';
  /** `sighted`: due at one look, nothing done yet. `started`: the host's callback may have run. `done`: it has run. */
  readonly state: 'sighted' | 'started' | 'done';
  /** Names the action for the host, the same at every repeat: what has this key is done once. */
  readonly key: string;
  /** When it was first due, or a suspension last begun, on the repository's clock. */
  readonly sightedAt: number;
}

/** One org in the hands of one sweeper. `fence` grows with every claim of the org: a write with a smaller one is refused. */
export interface SweepClaim {
  readonly org: string;
  readonly fence: number;
}

/**
 * The orgs a sweep has to look at, each with the instant from which it is due, and what sweeps did to rows.
 *
 * Whatever may move an org over a limit or back puts it on the list, due at once, in the same transaction: `saveSubscription`,
 * `finishEvent` with an effect, `upsertOverride` (when its subject type is `org`), `watchOrgs`, and `saveDegradation` by its `lookAt`.
 * An org on the list keeps the earlier of its instants. Due, leases and `now` are on the repository's clock.
 */
export interface SweepList {
  /** Puts orgs on the list, due at once. */
  watchOrgs(request: { readonly orgs: readonly string[] }): Promise<void>;

  /**
   * Claims up to `limit` orgs that became due at or before `dueAt` (null: now), the longest due first, for `leaseMs`. Racing callers get
   * different orgs. An org whose claim ran out unfinished is due since that moment. With `org`, only that one, due or not, unless
   * it is claimed. A claimed org leaves the list; what puts it there meanwhile stays and is due once the claim is finished.
   */
  claimSweeps(request: {
    readonly org: string | null;
    readonly dueAt: number | null;
    readonly limit: number;
    readonly leaseMs: number;
  }): Promise<{ readonly now: number; readonly claims: readonly SweepClaim[] }>;

  /** The org's row actions, by resource and id. */
  loadRowActions(org: string): Promise<readonly RowAction[]>;

  /**
   * Writes and forgets row actions and lets the claim last `leaseMs` from now; `false`, having written nothing, when the claim is no
   * longer the caller's. Every `save` replaces what is stored of its row. With nothing to write it renews the claim alone.
   */
  saveRowActions(request: {
    readonly org: string;
    readonly fence: number;
    readonly leaseMs: number;
    readonly save: readonly RowAction[];
    readonly forget: readonly { readonly resource: string; readonly id: string }[];
  }): Promise<boolean>;

  /**
   * Ends a claim. The org is on the list again from `lookAt` on (null: not for this sweep's sake); an earlier instant set meanwhile
   * stays. `false`, having written nothing, when the claim is no longer the caller's.
   */
  finishSweep(request: {
    readonly org: string;
    readonly fence: number;
    readonly lookAt: number | null;
  }): Promise<boolean>;

  /**
   * Moves the level that `subject` of the org has reached in the given spell, and answers the level it had. Racing callers see
   * one order, so of those who raise it one is told the lower level. A new spell (a larger number than the stored one) begins at 0; for
   * a smaller one nothing changes and `level` itself is answered.
   */
  moveCrossing(request: {
    readonly org: string;
    readonly subject: string;
    readonly spell: number;
    readonly level: number;
  }): Promise<number>;
}
