import type { HostRow, HostRows } from './host-rows.ts';

/** What `pg` and PGlite have in common. */
export interface SqlClient {
  query(text: string, values?: unknown[]): Promise<{ rows: unknown[] }>;
}

const COLUMNS = 'id, name, created_at, last_used_at, suspended_at';

/** Rows in the example's own table, beside the library's schema. */
export async function sqlRows(client: SqlClient, description: string): Promise<HostRows> {
  // Two processes may start at once, and `if not exists` alone does not make that safe.
  const setUp = `
    create table if not exists example_rows (
      org text not null,
      key text not null,
      id text not null collate "C",
      name text not null,
      created_at bigint not null,
      last_used_at bigint,
      suspended_at bigint,
      primary key (org, key, id)
    )`;
  await client.query(setUp).catch(() => client.query(setUp));

  const one = async (text: string, values: unknown[]) => (await client.query(text, values)).rows[0];
  const where = 'where org = $1 and key = $2 and id = $3';

  return {
    description,
    async add({ org, key, id, name, createdAt }) {
      await client.query(
        'insert into example_rows (org, key, id, name, created_at) values ($1, $2, $3, $4, $5)',
        [org, key, id, name, createdAt],
      );
    },
    async list({ org, key, after = '', limit }) {
      const { rows } = await client.query(
        `select ${COLUMNS} from example_rows where org = $1 and key = $2 and id > $3 order by id limit $4`,
        [org, key, after, limit],
      );
      return rows.map(toRow);
    },
    async find({ org, key, id }) {
      const row = await one(`select ${COLUMNS} from example_rows ${where}`, [org, key, id]);
      return row === undefined ? null : toRow(row);
    },
    async count({ org, key }) {
      const row = await one('select count(*) as rows from example_rows where org = $1 and key = $2', [
        org,
        key,
      ]);
      return Number((row as { rows: unknown }).rows);
    },
    async remove({ org, key, id }) {
      return (await one(`delete from example_rows ${where} returning id`, [org, key, id])) !== undefined;
    },
    async touch({ org, key, id, at }) {
      await client.query(`update example_rows set last_used_at = $4 ${where}`, [org, key, id, at]);
    },
    async setSuspended({ org, key, id, at }) {
      const value = at === null ? 'null' : 'coalesce(suspended_at, $4)';
      await client.query(
        `update example_rows set suspended_at = ${value} ${where}`,
        at === null ? [org, key, id] : [org, key, id, at],
      );
    },
    close: async () => undefined,
  };
}

function toRow(row: unknown): HostRow {
  const { id, name, created_at, last_used_at, suspended_at } = row as Record<string, string | number | null>;
  const instant = (value: string | number | null | undefined) => (value == null ? null : Number(value));
  return {
    id: String(id),
    name: String(name),
    createdAt: Number(created_at),
    lastUsedAt: instant(last_used_at),
    suspendedAt: instant(suspended_at),
  };
}
