/** The tables of a host, which all its processes share: the truth that counts are held against. */
export interface HostRows {
  /** What handlers really wrote. */
  readonly rows: { readonly org: string; readonly key: string }[];
  /** How many rows an org has of a key. */
  of(org?: string, key?: string): number;
  add(org: string, key: string, rows?: number): void;
  /** Deletes one; answers whether there was one. */
  remove(org: string, key: string): boolean;
  /** What `ResourceInventory.count` answers. */
  count(org: string, key: string): Promise<number>;
  /** How often the inventory was asked, for one org. */
  asked(org?: string): number;
  /** Lets counts of one org see the rows at once but answer only when `until` has resolved. */
  slowDown(org: string, until: Promise<void>): void;
}

export function hostRows(): HostRows {
  const rows: { readonly org: string; readonly key: string }[] = [];
  const asked: string[] = [];
  const slow = new Map<string, Promise<void>>();
  const of = (org = 'acme', key = 'devices') =>
    rows.filter((row) => row.org === org && row.key === key).length;
  return {
    rows,
    of,
    add(org, key, count = 1) {
      for (let made = 0; made < count; made += 1) rows.push({ org, key });
    },
    remove(org, key) {
      const index = rows.findIndex((row) => row.org === org && row.key === key);
      if (index >= 0) rows.splice(index, 1);
      return index >= 0;
    },
    async count(org, key) {
      asked.push(org);
      const found = of(org, key);
      await slow.get(org);
      return found;
    },
    asked: (org = 'acme') => asked.filter((one) => one === org).length,
    slowDown: (org, until) => void slow.set(org, until),
  };
}
