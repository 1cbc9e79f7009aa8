import type { HostRow, HostRows, OneRow, RowsOf } from './host-rows.ts';

/** Rows in the memory of this process. */
export function memoryRows(): HostRows {
  const tables = new Map<string, Map<string, HostRow>>();

  function table({ org, key }: RowsOf): Map<string, HostRow> {
    const name = `${org}/${key}`;
    const known = tables.get(name) ?? new Map<string, HostRow>();
    tables.set(name, known);
    return known;
  }

  function update(row: OneRow, change: (old: HostRow) => HostRow): void {
    const old = table(row).get(row.id);
    if (old !== undefined) table(row).set(row.id, change(old));
  }

  return {
    description: 'memory',
    async add({ id, name, createdAt, ...rows }) {
      table(rows).set(id, { id, name, createdAt, lastUsedAt: null, suspendedAt: null });
    },
    async list({ after = '', limit, ...rows }) {
      return [...table(rows).values()].filter((row) => row.id > after).slice(0, limit);
    },
    find: async (row) => table(row).get(row.id) ?? null,
    count: async (rows) => table(rows).size,
    remove: async (row) => table(row).delete(row.id),
    touch: async (row) => update(row, (old) => ({ ...old, lastUsedAt: row.at })),
    setSuspended: async (row) =>
      update(row, (old) => ({ ...old, suspendedAt: row.at === null ? null : (old.suspendedAt ?? row.at) })),
    close: async () => undefined,
  };
}
