/** One live row of the host's, as far as the library needs to know it. Instants are epoch ms. */
export interface InventoryRow {
  readonly id: string;
  readonly createdAt: number;
  /** Null when the host does not track use: `least_recently_used` then goes by `createdAt`. */
  readonly lastUsedAt: number | null;
}

/**
 * The host's tables: the truth for capacity keys. Called rarely (an unknown or old counter, a refusal, the lifecycle), never
 * on the path of an ordinary create. Answers must show every write that was committed before the call: read from the primary.
 * Go by the `org` that is given: what is counted in the background is asked for outside of any request (`AsyncLocalStorage` is empty).
 * A method may throw; the library then answers `quota_unavailable` and counts nothing as zero.
 */
export interface ResourceInventory {
  /** How many rows of `key` the org has now, suspended ones included. A whole number, 0 or more; `pg` answers `count(*)` as a text. */
  count(request: { readonly org: string; readonly key: string }): Promise<number>;

  /**
   * The org's rows of `key`, in any order, each once. Read as a stream: yield page by page for large orgs. Pages begin after the last
   * row of the one before, by id say; with an offset, rows are passed over when others go meanwhile.
   */
  list(request: { readonly org: string; readonly key: string }): AsyncIterable<InventoryRow>;

  /** One row, only if it is of this org; null otherwise. */
  find(request: {
    readonly org: string;
    readonly key: string;
    readonly id: string;
  }): Promise<InventoryRow | null>;
}
