import type { Logger } from '@tollgate/core';
import { Cluster, Redis } from 'ioredis';
import type { Batch } from './batch.ts';
import { messageOf } from './message-of.ts';
import { batchScript, batchScriptWhenFull, library } from './scripts/batch-script.ts';

/** The store's own connection to Redis. */
export interface Connection {
  /**
   * Runs the batch script once, or again after the connection was lost, until Redis answers: a batch may be run any number of times.
   * Rejects with what Redis refused it with.
   */
  run(batch: Batch, options: { readonly isFull: boolean }): Promise<Buffer>;
  /** Drops every socket and connects anew; what has no answer yet is sent again. */
  reconnect(): void;
  /**
   * Does so for servers that look alive and do not answer. On a Cluster the others are left alone (`some`), and what waits for an answer
   * may be stuck elsewhere in the client: it is to be told again.
   */
  reconnectSilent(): 'all' | 'some' | 'none';
  /** What went wrong with the connection last, since something was answered; undefined for nothing. */
  trouble(): unknown;
  /** The server's own report, `INFO <section>`. */
  info(section: string): Promise<string>;
  close(): void;
}

/** How long the function is not tried after it was missing, ms. */
const MISS_MS = { first: 1_000, most: 60_000 };
/** How long a node of a Cluster has for a sign of life. */
const PATIENCE_MS = 500;
/** A first miss is how a server without the library is met. */
const WARN_AT_MISS = 2;

/** Waiting for an answer, and giving up, is the lane's business: the client itself never gives up. */
const OWN_OPTIONS = {
  enableAutoPipelining: false,
  enableOfflineQueue: true,
  lazyConnect: false,
  retryStrategy: (attempt: number) => Math.min(25 * 2 ** Math.min(attempt, 5), 500),
  connectTimeout: 2_000,
  // A server that loads its data is asked again soon: its own estimate of how long it takes may be far off.
  maxLoadingRetryTime: 500,
} as const;

const OWN_REDIS_OPTIONS = {
  ...OWN_OPTIONS,
  maxRetriesPerRequest: null,
  autoResendUnfulfilledCommands: true,
  commandTimeout: undefined,
  socketTimeout: undefined,
  // Of a client that reads from replicas, too.
  role: 'master',
  // A Sentinel that is away or silent is passed over, and all of them are asked again.
  sentinelRetryStrategy: OWN_OPTIONS.retryStrategy,
  sentinelCommandTimeout: OWN_OPTIONS.connectTimeout,
  reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
} as const;

/** Opens a connection of the store's own beside the host's client, so that neither one's settings and load touch the other's. */
export function openConnection(
  target: { readonly client: Redis | Cluster } | { readonly url: string },
  logger: Logger,
): Connection {
  let trouble: unknown;
  let isOpening = true;

  function heard(said: Error & { lastNodeError?: Error }): void {
    // A Cluster of which no node answers tells what the last one said.
    const error = withoutCommand(said.lastNodeError ?? said);
    // As a Cluster says of a node whose own error was heard before.
    if (trouble === undefined || messageOf(error) !== 'Connection is closed.') trouble = error;
    // Where it never came up, callers may have been refused before the reason was known.
    logger[isOpening ? 'warn' : 'debug']('trouble with the connection to redis', { error: trouble });
    isOpening = false;
  }

  const client = openClient(target, heard);
  if (isCluster(client)) {
    client.on('+node', (node: Redis) => {
      node.on('error', heard);
      // One that a redirection adds while all are being dropped would be waited for without end: nothing ever connects to it.
      if (client.status === 'disconnecting') node.disconnect();
    });
  }
  client.on('error', heard);
  client.once('ready', () => {
    isOpening = false;
  });

  /** From when on the library's function is tried, on the clock of `performance.now()`; until then batches are run as scripts. */
  let functionFrom = 0;
  let misses = 0;

  function run(batch: Batch, { isFull }: { readonly isFull: boolean }): Promise<Buffer> {
    if (functionFrom > 0 && performance.now() < functionFrom) return runAsScript(batch, isFull);
    return tell('FCALL', batch.toArguments(formFor(isFull).name, isFull)).then(
      (reply) => {
        misses = 0;
        return reply;
      },
      (error) => {
        if (!isUnknown(error)) throw error;
        if (performance.now() >= functionFrom) missed();
        return runAsScript(batch, isFull);
      },
    );
  }

  async function runAsScript(batch: Batch, isFull: boolean): Promise<Buffer> {
    const { sha, script } = formFor(isFull);
    try {
      return await tell('EVALSHA', batch.toArguments(sha, isFull));
    } catch (error) {
      if (!isUnknown(error)) throw error;
      return await tell('EVAL', batch.toArguments(script, isFull));
    }
  }

  /**
   * Not as a `Command` of our own: the client may be of another installed copy of ioredis. The arguments go as one list, since each call
   * on the way would copy them.
   */
  function tell(command: string, args: string[]): Promise<Buffer> {
    return client.callBuffer(command, args) as Promise<Buffer>;
  }

  /** Loads the library, on each master of a Cluster. The function is tried at once when it is there, and else later and later. */
  function missed(): void {
    functionFrom = performance.now() + Math.min(MISS_MS.first * 2 ** misses, MISS_MS.most);
    misses += 1;
    const servers = isCluster(client) ? client.nodes('master') : [client];
    const loads = servers.map((server) => server.call('FUNCTION', 'LOAD', 'REPLACE', library));
    void Promise.allSettled(loads).then((results) => {
      const failure = results.find((result) => result.status === 'rejected');
      if (failure === undefined && misses === 1) functionFrom = 0;
      else if (misses === WARN_AT_MISS) {
        logger.warn('redis does not run our function: batches are run as scripts, which costs it more', {
          error: withoutCommand(failure?.reason),
        });
      }
    });
  }

  function reconnectSilent() {
    // A server may fall silent while it is greeted, too.
    const isGreeting = client.status === 'connect';
    if (client.status !== 'ready' && !isGreeting) return 'none';
    if (!isCluster(client) || isGreeting) {
      client.disconnect(true);
      return 'all';
    }
    for (const node of client.nodes('master')) dropUnlessAlive(node);
    return 'some';
  }

  return {
    run: (batch, options) =>
      run(batch, options).then(
        (reply) => {
          trouble = undefined;
          return reply;
        },
        (error) => {
          throw withoutCommand(error);
        },
      ),
    reconnect: () => client.disconnect(true),
    reconnectSilent,
    trouble: () => trouble,
    info: async (section) => String(await client.info(section)),
    close: () => client.disconnect(),
  };
}

/** An error without the command that it answers, as ioredis puts it there: that of a login has the password. */
function withoutCommand(error: unknown): unknown {
  // A Cluster of which no node answers tells what the last one said.
  for (const one of [error, Object(error).lastNodeError]) {
    if (Object(one) === one) Reflect.deleteProperty(one, 'command');
  }
  return error;
}

const formFor = (isFull: boolean) => (isFull ? batchScriptWhenFull : batchScript);

/** A Cluster connects anew, when it next has something to say, to a node that was dropped. */
function dropUnlessAlive(node: Redis): void {
  if (node.status === 'wait') return;
  const timer = setTimeout(() => node.disconnect(), PATIENCE_MS).unref();
  const alive = () => clearTimeout(timer);
  // An error is an answer too.
  node.ping().then(alive, alive);
}

function openClient(
  target: { readonly client: Redis | Cluster } | { readonly url: string },
  onError: (error: Error) => void,
): Redis | Cluster {
  if ('url' in target) return new Redis(target.url, OWN_REDIS_OPTIONS);
  const { client } = target;
  if (!isCluster(client)) return client.duplicate(OWN_REDIS_OPTIONS);
  const options = {
    enableAutoPipelining: false,
    enableOfflineQueue: true,
    clusterRetryStrategy(attempt: number, reason?: Error) {
      // Of a host without an address nothing else is told.
      if (reason !== undefined) onError(reason);
      return OWN_OPTIONS.retryStrategy(attempt);
    },
    redisOptions: { ...client.options.redisOptions, ...OWN_REDIS_OPTIONS },
    scaleReads: 'master',
    maxRedirections: 16,
    retryDelayOnFailover: 50,
    retryDelayOnClusterDown: 50,
    retryDelayOnTryAgain: 50,
  };
  return client.duplicate([], options as Parameters<Cluster['duplicate']>[1]);
}

export function isCluster(client: Redis | Cluster): client is Cluster {
  return client instanceof Cluster || 'startupNodes' in client;
}

/** The server does not know the function or script, or may not run it: nothing was run, and the same may be told in the next way. */
function isUnknown(error: unknown): boolean {
  return /^(NOSCRIPT|ERR Function not found|ERR unknown command|NOPERM)/i.test(messageOf(error));
}
