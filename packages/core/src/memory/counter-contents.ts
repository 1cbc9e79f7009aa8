import type { CounterLedger } from './counter-ledger.ts';

/** The contents of a memory counter store, read without its port. */
export interface CounterContents {
  /** Orgs for which anything is stored. */
  readonly orgs: readonly string[];
  /** Counters with a count; `held` includes leases that have run out since the last step. */
  readonly counters: readonly {
    readonly org: string;
    readonly key: string;
    readonly window: string;
    readonly committed: number;
    readonly held: number;
    readonly uncertain: number;
  }[];
  /** Numbers of stored records, over all orgs. */
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
