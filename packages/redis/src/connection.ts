import { createHash } from 'node:crypto';
import { Cluster, Redis } from 'ioredis';
import { batchScript, batchScriptWhenFull } from './scripts/batch-script.ts';

/** The store's own connection to Redis. */
export interface Connection {
  /**
   * Runs the batch script once, or again after the connection was lost, until Redis answers: a batch may be run any number of times.
   * Rejects with what Redis refused it with.
   */
  run(keys: readonly string[], batch: string, options: { readonly isFull: boolean }): Promise<Buffer>;
  /** Drops the socket and connects anew; what has no answer yet is sent again. */
  reconnect(): void;
  readonly isReady: boolean;
  /** The server's own report, `INFO <section>`. */
  info(section: string): Promise<string>;
  close(): void;
}

const SCRIPTS = [batchScript, batchScriptWhenFull].map((source) => ({
  source,
  sha: createHash('sha1').update(source).digest('hex'),
}));

/** Waiting for an answer, and giving up, is the lane's business: the client itself never gives up. */
const OWN_OPTIONS = {
  enableAutoPipelining: false,
  enableOfflineQueue: true,
  lazyConnect: false,
  retryStrategy: (attempt: number) => Math.min(25 * 2 ** Math.min(attempt, 5), 500),
  connectTimeout: 2_000,
} as const;

const OWN_REDIS_OPTIONS = {
  ...OWN_OPTIONS,
  maxRetriesPerRequest: null,
  autoResendUnfulfilledCommands: true,
  commandTimeout: undefined,
  socketTimeout: undefined,
  reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
};

/** Opens a connection of the store's own beside the host's client, so that neither one's settings and load touch the other's. */
export function openConnection(
  target: { readonly client: Redis | Cluster } | { readonly url: string },
  onError: (error: Error) => void,
): Connection {
  const client = openClient(target);
  client.on('error', onError);

  async function run(
    keys: readonly string[],
    batch: string,
    { isFull }: { readonly isFull: boolean },
  ): Promise<Buffer> {
    const script = SCRIPTS[isFull ? 1 : 0];
    if (script === undefined) throw new Error('There is no such script.');
    const rest = [String(keys.length), ...keys, batch];
    try {
      return (await client.callBuffer('EVALSHA', script.sha, ...rest)) as Buffer;
    } catch (error) {
      if (!(error instanceof Error && error.message.startsWith('NOSCRIPT'))) throw error;
      return (await client.callBuffer('EVAL', script.source, ...rest)) as Buffer;
    }
  }

  return {
    run,
    reconnect: () => client.disconnect(true),
    get isReady() {
      return client.status === 'ready';
    },
    info: async (section) => String(await client.info(section)),
    close: () => client.disconnect(),
  };
}

function openClient(
  target: { readonly client: Redis | Cluster } | { readonly url: string },
): Redis | Cluster {
  if ('url' in target) return new Redis(target.url, OWN_REDIS_OPTIONS);
  const { client } = target;
  if (!isCluster(client)) return client.duplicate(OWN_REDIS_OPTIONS);
  const options = {
    enableAutoPipelining: false,
    enableOfflineQueue: true,
    clusterRetryStrategy: OWN_OPTIONS.retryStrategy,
    redisOptions: { ...client.options.redisOptions, ...OWN_REDIS_OPTIONS },
    scaleReads: 'master',
    retryDelayOnFailover: 50,
    retryDelayOnClusterDown: 50,
    retryDelayOnTryAgain: 50,
  };
  return client.duplicate([], options as Parameters<Cluster['duplicate']>[1]);
}

export function isCluster(client: Redis | Cluster): client is Cluster {
  return client instanceof Cluster || 'startupNodes' in client;
}
