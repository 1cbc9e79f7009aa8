import type { Logger, Telemetry } from '@tollgate/core';
import type { Cluster, Redis } from 'ioredis';

export interface RedisCounterStoreOptions {
  /**
   * The host's ioredis client, for a single server (Sentinel included) or a Redis Cluster. The store opens its own connection with
   * the same address and credentials; it never uses or closes the client itself.
   */
  readonly client?: Redis | Cluster;
  /** The address of a single server, instead of a client: `redis://...` or `rediss://...`. */
  readonly url?: string;
  /**
   * The beginning of every key's name. Give stores that share a Redis different ones.
   * @default 'tg'
   */
  readonly prefix?: string;
  /**
   * The number of hash tags that orgs are grouped into. Each is one slot of a Redis Cluster and one stream of batches; about two a
   * master is right. It is part of the stored layout: after a change every counter is recounted, and processes that still have the
   * old number count separately.
   * @default 1 on a single server, 6 on a Redis Cluster
   */
  readonly hashTags?: number;
  /**
   * How long Redis may take, whatever the client's own settings, ms. A caller queued behind more than Redis can answer waits for up to
   * twice as long.
   * @default 200
   */
  readonly timeoutMs?: number;
  /**
   * How long a commit that nobody waits for may be held back for the next reserve of its org, ms. If the process dies in that time, the
   * end of the lease decides.
   * @default 20
   */
  readonly gatherMs?: number;
  /**
   * How long an expired lease is kept for a late commit, ms. After that its uncertain units stay until a recount.
   * @default 600_000
   */
  readonly lapsedKeepMs?: number;
  /** @default warnings and errors to stderr */
  readonly logger?: Logger;
  /** @default none */
  readonly telemetry?: Telemetry;
}
