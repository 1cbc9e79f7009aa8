import type { Redis } from 'ioredis';
import type { HostRow, HostRows, RowsOf } from './host-rows.ts';

/** Rows in Redis: one hash an org and key, and two more for what changes. */
export function redisRows(redis: Redis): HostRows {
  const names = ({ org, key }: RowsOf) => {
    const base = `example:{${org}}:${key}`;
    return { rows: base, used: `${base}:used`, suspended: `${base}:suspended` };
  };

  function toRow(id: string, text: string, used: string | null, suspended: string | null): HostRow {
    const { name, createdAt } = JSON.parse(text) as { name: string; createdAt: number };
    const instant = (value: string | null) => (value === null ? null : Number(value));
    return { id, name, createdAt, lastUsedAt: instant(used), suspendedAt: instant(suspended) };
  }

  return {
    description: 'Redis',
    async add({ id, name, createdAt, ...of }) {
      await redis.hset(names(of).rows, id, JSON.stringify({ name, createdAt }));
    },
    async list({ after = '', limit, ...of }) {
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
      const { rows, used, suspended } = names(of);
      const [text, use, suspension] = await Promise.all([
        redis.hget(rows, id),
        redis.hget(used, id),
        redis.hget(suspended, id),
      ]);
      return text === null ? null : toRow(id, text, use, suspension);
    },
    count: async (of) => await redis.hlen(names(of).rows),
    async remove({ id, ...of }) {
      const { rows, used, suspended } = names(of);
      const removed = await redis.hdel(rows, id);
      await Promise.all([redis.hdel(used, id), redis.hdel(suspended, id)]);
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
    close: async () => undefined,
  };
}
