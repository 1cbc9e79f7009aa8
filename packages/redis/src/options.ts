import type { Logger, Telemetry } from '@tollgate/core';
import type { Cluster, Redis } from 'ioredis';

export interface RedisCounterStoreOptions {
  /**
   * The host's ioredis client, of a single server (Sentinel included) or of a Redis Cluster. The store opens a connection of its own
   * with the same address and credentials; the client itself is never used or closed.
   */
  readonly client?: Redis | Cluster;
  /** Instead of a client: `redis://...` or `rediss://...` of a single server. */
  readonly url?: string;
  /**
   * Starts the name of every key. Give stores that share a Redis different ones.
   * @default 'tg'
   */
  readonly prefix?: string;
  /**
   * Into how many hash tags orgs are grouped: each is one slot of a Redis Cluster and one stream of batches. About two a master is
   * right. Part of the stored layout: after a change every counter is recounted, and processes that still
   * have the old one count apart.
   * @default 1 on a single server, 6 on a Redis Cluster
   */
  readonly hashTags?: number;
  /**
   * How long Redis may take, whatever the client's own settings, ms. A caller behind more than it can answer waits for up to twice as long.
   * @default 200
   */
  readonly timeoutMs?: number;
  /**
   * How long a commit that nobody waits for may wait for the next reserve of its org, ms. A process that dies in that time leaves it to
   * the end of the lease.
   * @default 20
   */
  readonly gatherMs?: number;
  /**
   * How long a lease that ran out is kept for a late commit, ms. After that its uncertain units stay until a recount.
   * @default 600_000
   */
  readonly lapsedKeepMs?: number;
  /** @default warnings and errors to stderr */
  readonly logger?: Logger;
  /** @default none */
  readonly telemetry?: Telemetry;
}
