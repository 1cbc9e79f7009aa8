import type pg from 'pg';
import type { PgPool } from './database/pg-types.ts';

export type Query = Parameters<Awaited<ReturnType<PgPool['connect']>>['query']>[0];
type Answer = pg.QueryResult<Record<string, unknown>>;

/** A pool that shows each answer to `hear` before its caller gets it. If `hear` throws, the answer is lost. */
export function heard(pool: pg.Pool, hear: (query: Query, answer: Answer) => void): PgPool {
  return {
    async connect() {
      const client = await pool.connect();
      return {
        async query(config) {
          const answer: Answer = await client.query(config);
          hear(config, answer);
          return answer;
        },
        release: (destroy) => client.release(destroy),
        on: (event, listener) => client.on(event, listener),
        removeListener: (event, listener) => client.removeListener(event, listener),
      };
    },
    on: pool.on.bind(pool) as PgPool['on'],
    removeListener: pool.removeListener.bind(pool) as PgPool['removeListener'],
  };
}
