import { type Clock, TollgateError } from '@tollgate/core';
import type { HostDatabase, HostTransaction } from './template/host-database.ts';

/** A host's database with a view behind the repository, and a plug to pull. */
export interface MapDatabase extends HostDatabase {
  peek<Row>(table: string, name: string): Promise<Row | null>;
  all<Row>(table: string): Promise<readonly Row[]>;
  countRows(): Promise<number>;
  goAway(): void;
  comeBack(): void;
}

/** Stands in for a host's database: transactions one after the other, and nothing stays of one that throws. */
export function mapDatabase(clock: Clock): MapDatabase {
  let isAway = false;
  let tables = new Map<string, Map<string, unknown>>();
  let last: Promise<unknown> = Promise.resolve();

  async function run<T>(work: (tx: HostTransaction) => Promise<T>): Promise<T> {
    if (isAway) throw new TollgateError('repository_unavailable');
    const draft = structuredClone(tables);
    const table = (name: string) => {
      const rows = draft.get(name) ?? new Map<string, unknown>();
      draft.set(name, rows);
      return rows;
    };
    const result = await work({
      get: async <Row>(name: string, row: string) =>
        structuredClone((table(name).get(row) ?? null) as Row | null),
      put: async (name, row, value) => {
        table(name).set(row, structuredClone(value));
      },
      remove: async (name, row) => {
        table(name).delete(row);
      },
      all: async <Row>(name: string) => structuredClone([...table(name).values()] as Row[]),
      now: async () => clock.now(),
    });
    tables = draft;
    return result;
  }

  return {
    peek: async <Row>(table: string, name: string) => (tables.get(table)?.get(name) ?? null) as Row | null,
    all: async <Row>(table: string) => [...(tables.get(table)?.values() ?? [])] as Row[],
    countRows: async () => [...tables.values()].reduce((rows, table) => rows + table.size, 0),
    goAway: () => {
      isAway = true;
    },
    comeBack: () => {
      isAway = false;
    },
    transaction: (work) => {
      const next = last.then(() => run(work));
      last = next.catch(() => {});
      return next;
    },
  };
}
