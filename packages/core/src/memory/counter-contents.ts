import type { CounterLedger } from './counter-ledger.ts';

/** What a memory counter store holds, read behind its port. */
export interface CounterContents {
  /** Orgs that take any room at all. */
  readonly orgs: readonly string[];
  /** Counters with a count; `held` is of leases not yet noticed to have run out. */
  readonly counters: readonly {
    readonly org: string;
    readonly key: string;
    readonly window: string;
    readonly committed: number;
    readonly held: number;
    readonly uncertain: number;
  }[];
  /** Records that take room, over all orgs. */
  readonly records: {
    readonly live: number;
    readonly lapsed: number;
    readonly settled: number;
    readonly adjusted: number;
  };
}

/** Copies ledgers into plain data. */
export function contentsOf(ledgers: readonly (readonly [string, CounterLedger])[]): CounterContents {
  const total = (size: (ledger: CounterLedger) => number) =>
    ledgers.reduce((sum, [, ledger]) => sum + size(ledger), 0);
  return {
    orgs: ledgers.map(([org]) => org),
    counters: ledgers.flatMap(([org, ledger]) =>
      [...ledger.counters.values()]
        .filter(({ known }) => known)
        .map(({ key, window, committed, uncertain }) => ({
          org,
          key,
          window,
          committed,
          uncertain,
          held: ledger.held({ key, window }),
        })),
    ),
    records: {
      live: total(({ live }) => live.size),
      lapsed: total(({ lapsed }) => lapsed.size),
      settled: total(({ settled }) => settled.size),
      adjusted: total(({ adjusted }) => adjusted.size),
    },
  };
}
