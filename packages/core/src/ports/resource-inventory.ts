/** One live row of the host's tables, as far as the library needs to know it. Instants are epoch ms. */
export interface InventoryRow {
  readonly id: string;
  readonly createdAt: number;
  /** Null if the host does not track use: `least_recently_used` then uses `createdAt`. */
  readonly lastUsedAt: number | null;
}

/**
 * The host's tables: the truth for capacity keys. Called rarely (for an unknown or old counter, before a refusal, by the lifecycle),
 * never for an ordinary create.
 *
 * Results must include every write that was committed before the call: read from the primary. Use the given `org`: background counts
 * run outside any request, where `AsyncLocalStorage` is empty. A method may throw; the library then answers `quota_unavailable`, and
 * counts nothing as zero.
 */
export interface ResourceInventory {
  /** How many rows of `key` the org has now, including suspended ones. A whole number, 0 or more; `pg` returns `count(*)` as a string. */
  count(request: { readonly org: string; readonly key: string }): Promise<number>;

  /**
   * The org's rows of `key`, in any order, each once. It is read as a stream: for large orgs, yield page by page. Begin each page after
   * the last row of the one before (by id, say); with an offset, rows are skipped if others are deleted meanwhile.
   */
  list(request: { readonly org: string; readonly key: string }): AsyncIterable<InventoryRow>;

  /** One row if it belongs to this org, else null. */
  find(request: {
    readonly org: string;
    readonly key: string;
    readonly id: string;
  }): Promise<InventoryRow | null>;
}
