import type { Logger } from '@tollgate/core';
import type { Connection } from './connection.ts';

/** Logs once, at start, if Redis may evict counters or is too old for the store. */
export async function checkServer(connection: Connection, logger: Logger): Promise<void> {
  try {
    const memory = await connection.info('memory');
    const policy = /maxmemory_policy:(\S+)/.exec(memory)?.[1];
    if (policy !== undefined && policy !== 'noeviction') {
      logger.warn(
        `redis may evict counters (maxmemory-policy is ${policy}): each loss costs a recount. Set maxmemory-policy noeviction`,
        { policy },
      );
    }
    const version = /redis_version:(\d+)/.exec(await connection.info('server'))?.[1];
    if (version !== undefined && Number(version) < 7) {
      logger.error('redis is too old for the counter store: version 7 or later is needed', { version });
    }
  } catch {
    // Redis is away already: the first caller gets the error.
  }
}
