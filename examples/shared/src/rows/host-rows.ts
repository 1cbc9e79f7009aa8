/** A row of the example: a device, a zone, a sub-org. Instants are epoch ms. */
export interface HostRow {
  readonly id: string;
  readonly name: string;
  readonly createdAt: number;
  readonly lastUsedAt: number | null;
  /** Since when it is suspended; null if it is not. */
  readonly suspendedAt: number | null;
}

/** The rows of an org that count towards one quota key. */
export interface RowsOf {
  readonly org: string;
  readonly key: string;
}

export interface OneRow extends RowsOf {
  readonly id: string;
}

/** The example's tables. A real host has its own, and would not hide them behind such an interface. */
export interface HostRows {
  /** Where the rows are kept, for people to read. */
  readonly description: string;
  add(row: OneRow & { readonly name: string; readonly createdAt: number }): Promise<void>;
  /** In order of id, which is order of creation: the rows after `after`, at most `limit`. */
  list(rows: RowsOf & { readonly after?: string; readonly limit: number }): Promise<readonly HostRow[]>;
  find(row: OneRow): Promise<HostRow | null>;
  count(rows: RowsOf): Promise<number>;
  /** Returns whether there was such a row. */
  remove(row: OneRow): Promise<boolean>;
  touch(row: OneRow & { readonly at: number }): Promise<void>;
  /** Suspends a row at an instant, or restores it if `at` is null. A repeat changes nothing. */
  setSuspended(row: OneRow & { readonly at: number | null }): Promise<void>;
  close(): Promise<void>;
}
