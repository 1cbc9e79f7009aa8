/** Instants are epoch ms. */

/**
 * What the sweep did, or is about to do, to one of the host's rows; at most one per row (resource and id).
 * `suspend` and `remove` must be found due twice before they happen; `restore` undoes a suspend at once.
 */
export interface RowAction {
  readonly resource: string;
  readonly id: string;
  readonly action: 'suspend' | 'remove' | 'restore';
  /** `sighted`: due at one look, nothing done yet. `started`: the host's callback may have run. `done`: it has run. */
  readonly state: 'sighted' | 'started' | 'done';
  /** Identifies the action to the host, the same at every retry: what has this key is done once. */
  readonly key: string;
  /** When it was first due, or a suspension last begun, on the repository's clock. */
  readonly sightedAt: number;
}

/** One org claimed by one sweeper. `fence` grows with every claim of the org; a write with a smaller one is refused. */
export interface SweepClaim {
  readonly org: string;
  readonly fence: number;
}

/**
 * The orgs a sweep has to look at, each with the instant from which it is due; and what sweeps did to rows.
 *
 * Whatever may move an org over a limit or back puts it on the list, due at once, in the same transaction: `saveSubscription`,
 * `finishEvent` with an effect, `upsertOverride` (if its subject type is `org`), `watchOrgs`, and `saveDegradation` by its `lookAt`.
 * An org that is on the list already keeps the earlier instant. Due instants, leases and `now` are on the repository's clock.
 */
export interface SweepList {
  /** Puts orgs on the list, due at once. */
  watchOrgs(request: { readonly orgs: readonly string[] }): Promise<void>;

  /**
   * Claims up to `limit` orgs that became due at or before `dueAt` (null: now), the longest due first, for `leaseMs`. Concurrent callers
   * get different orgs. An org whose claim ran out unfinished is due since that moment. With `org`, only that one is claimed, due or not,
   * unless somebody holds it. A claimed org leaves the list; if it is put there again meanwhile, it is due once the claim is finished.
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
   * Writes and deletes row actions, and extends the claim to `leaseMs` from now. If the claim is no longer the caller's, writes nothing and
   * returns `false`. Every `save` replaces what is stored for its row. With nothing to write, it only renews the claim.
   */
  saveRowActions(request: {
    readonly org: string;
    readonly fence: number;
    readonly leaseMs: number;
    readonly save: readonly RowAction[];
    readonly forget: readonly { readonly resource: string; readonly id: string }[];
  }): Promise<boolean>;

  /**
   * Ends a claim. The org is on the list again from `lookAt` on (null: this sweep does not ask for it); an earlier instant that was set
   * meanwhile stays. If the claim is no longer the caller's, writes nothing and returns `false`.
   */
  finishSweep(request: {
    readonly org: string;
    readonly fence: number;
    readonly lookAt: number | null;
  }): Promise<boolean>;

  /**
   * Sets the level that `subject` of the org has reached in the given spell, and returns the level it had before. Concurrent callers see
   * one order, so only one of those who raise it gets the lower level. A new spell (a larger number than the stored one) begins at 0. For
   * a smaller number nothing changes, and `level` itself is returned.
   */
  moveCrossing(request: {
    readonly org: string;
    readonly subject: string;
    readonly spell: number;
    readonly level: number;
  }): Promise<number>;
}
