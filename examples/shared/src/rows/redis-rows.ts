import { randomUUID } from 'node:crypto';
import type { Redis } from 'ioredis';
import type { HostRow, HostRows, OneRow, RowsOf } from './host-rows.ts';

const MARKER = 'example:marker';
const CHECK_EVERY_MS = 200;

/**
 * Rows in Redis, shared by the example's processes: one hash per org and key, and two more for what changes.
 *
 * The rows of a real host do not vanish with its counters. So each process remembers the rows it created and restores them after Redis
 * was emptied, which it detects by a missing or changed marker.
 */
export function redisRows(redis: Redis): HostRows {
  const own = new Map<string, OneRow & { readonly text: string }>();
  let seenMarker: string | null = null;
  let restoring: Promise<void> | null = null;

  const names = ({ org, key }: RowsOf) => {
    const base = `example:{${org}}:${key}`;
    return { rows: base, used: `${base}:used`, suspended: `${base}:suspended` };
  };
  const nameOf = ({ org, key, id }: OneRow) => `${org}/${key}/${id}`;

  async function restoreIfEmptied(): Promise<void> {
    const marker = await redis.get(MARKER);
    if (marker !== null && marker === seenMarker) return;
    for (const row of own.values()) await redis.hsetnx(names(row).rows, row.id, row.text);
    await redis.set(MARKER, randomUUID(), 'NX');
    seenMarker = await redis.get(MARKER);
  }

  /** Resolves once all rows of this process are in Redis. */
  function ensureRestored(): Promise<void> {
    restoring ??= restoreIfEmptied().finally(() => {
      restoring = null;
    });
    return restoring;
  }
  // Another process may read our rows while this one gets no requests.
  const timer = setInterval(() => void ensureRestored().catch(() => undefined), CHECK_EVERY_MS).unref();

  return {
    description: 'Redis',
    async add({ org, key, id, name, createdAt }) {
      const row = { org, key, id, text: JSON.stringify({ name, createdAt }) };
      own.set(nameOf(row), row);
      await redis.hset(names(row).rows, id, row.text);
    },
    async list({ after = '', limit, ...of }) {
      await ensureRestored();
      const { rows, used, suspended } = names(of);
      const ids = (await redis.hkeys(rows))
        .filter((id) => id > after)
        .sort()
        .slice(0, limit);
      if (ids.length === 0) return [];
      const [texts, uses, suspensions] = await Promise.all([
        redis.hmget(rows, ...ids),
        redis.hmget(used, ...ids),
        redis.hmget(suspended, ...ids),
      ]);
      return ids.flatMap((id, i) => {
        const text = texts[i];
        return text == null ? [] : [toRow(id, text, uses[i] ?? null, suspensions[i] ?? null)];
      });
    },
    async find({ id, ...of }) {
      await ensureRestored();
      const { rows, used, suspended } = names(of);
      const [text, use, suspension] = await Promise.all([
        redis.hget(rows, id),
        redis.hget(used, id),
        redis.hget(suspended, id),
      ]);
      return text === null ? null : toRow(id, text, use, suspension);
    },
    async count(of) {
      await ensureRestored();
      return await redis.hlen(names(of).rows);
    },
    async remove(row) {
      await ensureRestored();
      own.delete(nameOf(row));
      const { rows, used, suspended } = names(row);
      const removed = await redis.hdel(rows, row.id);
      await Promise.all([redis.hdel(used, row.id), redis.hdel(suspended, row.id)]);
      return removed === 1;
    },
    async touch({ id, at, ...of }) {
      const { rows, used } = names(of);
      if ((await redis.hexists(rows, id)) === 1) await redis.hset(used, id, at);
    },
    async setSuspended({ id, at, ...of }) {
      const { suspended } = names(of);
      if (at === null) await redis.hdel(suspended, id);
      else await redis.hsetnx(suspended, id, at);
    },
    async close() {
      clearInterval(timer);
      await restoring?.catch(() => undefined);
    },
  };
}

function toRow(id: string, text: string, used: string | null, suspended: string | null): HostRow {
  const { name, createdAt } = JSON.parse(text) as { name: string; createdAt: number };
  const instant = (value: string | null) => (value === null ? null : Number(value));
  return { id, name, createdAt, lastUsedAt: instant(used), suspendedAt: instant(suspended) };
}
