import type { Logger } from '@tollgate/core';
import { Cluster, Redis } from 'ioredis';
import type { Batch } from './batch.ts';
import { messageOf } from './message-of.ts';
import { batchScript, batchScriptWhenFull, library } from './scripts/batch-script.ts';

/** The store's own connection to Redis. */
export interface Connection {
  /**
   * Runs the batch script, and again after a lost connection, until Redis answers: a batch may be run any number of times.
   * Rejects with the error that Redis answers.
   */
  run(batch: Batch, options: { readonly isFull: boolean }): Promise<Buffer>;
  /** Closes every socket and reconnects; commands without a reply are resent. */
  reconnect(): void;
  /**
   * Does so for servers whose connection is open but that do not answer. On a Cluster the other nodes are left alone (`some`), and a
   * command without a reply may be stuck elsewhere in the client: the caller must resend it.
   */
  reconnectSilent(): 'all' | 'some' | 'none';
  /** The last error of the connection since Redis answered anything; undefined if there was none. */
  trouble(): unknown;
  /** The server's own report, `INFO <section>`. */
  info(section: string): Promise<string>;
  close(): void;
}

/** How long the function is not tried after Redis did not know it, ms. */
const MISS_MS = { first: 1_000, most: 60_000 };
/** How long a node of a Cluster may take to answer a ping, ms. */
const PATIENCE_MS = 500;
/** The first miss only shows that the server does not have the library yet. */
const WARN_AT_MISS = 2;

/** Time-outs and giving up are the business of the lane and its slots: the client itself never gives up. */
const OWN_OPTIONS = {
  enableAutoPipelining: false,
  enableOfflineQueue: true,
  lazyConnect: false,
  retryStrategy: (attempt: number) => Math.min(25 * 2 ** Math.min(attempt, 5), 500),
  connectTimeout: 2_000,
  // A server that is loading its data is asked again soon: its own estimate may be far off.
  maxLoadingRetryTime: 500,
} as const;

const OWN_REDIS_OPTIONS = {
  ...OWN_OPTIONS,
  maxRetriesPerRequest: null,
  autoResendUnfulfilledCommands: true,
  commandTimeout: undefined,
  socketTimeout: undefined,
  // Even if the host's client reads from replicas.
  role: 'master',
  // A Sentinel that is down or does not answer is skipped, and the list of them is tried again without end.
  sentinelRetryStrategy: OWN_OPTIONS.retryStrategy,
  sentinelCommandTimeout: OWN_OPTIONS.connectTimeout,
  reconnectOnError: (error: Error) => error.message.startsWith('READONLY'),
} as const;

/** Opens the store's own connection, so that neither its settings and load nor those of the host's client affect the other. */
export function openConnection(
  target: { readonly client: Redis | Cluster } | { readonly url: string },
  logger: Logger,
): Connection {
  let trouble: unknown;
  let isOpening = true;

  function noteError(said: Error & { lastNodeError?: Error }): void {
    // If no node of a Cluster answers, the last one's error is attached.
    const error = withoutCommand(said.lastNodeError ?? said);
    // A Cluster reports "Connection is closed." after a node's own error, which says more.
    if (trouble === undefined || messageOf(error) !== 'Connection is closed.') trouble = error;
    // If the connection never came up, callers may have been refused before the reason was known.
    logger[isOpening ? 'warn' : 'debug']('trouble with the connection to redis', { error: trouble });
    isOpening = false;
  }

  const client = openClient(target, noteError);
  if (isCluster(client)) {
    client.on('+node', (node: Redis) => {
      node.on('error', noteError);
      // A node that a redirection adds while all are being disconnected would be waited for without end: nothing ever connects to it.
      if (client.status === 'disconnecting') node.disconnect();
    });
  }
  client.on('error', noteError);
  client.once('ready', () => {
    isOpening = false;
  });

  /** When the library's function is tried next, on the clock of `performance.now()`; until then batches run as scripts. */
  let functionFrom = 0;
  let misses = 0;

  function run(batch: Batch, { isFull }: { readonly isFull: boolean }): Promise<Buffer> {
    if (functionFrom > 0 && performance.now() < functionFrom) return runAsScript(batch, isFull);
    return send('FCALL', batch.toArguments(formFor(isFull).name, isFull)).then(
      (reply) => {
        misses = 0;
        return reply;
      },
      (error) => {
        if (!isUnknown(error)) throw error;
        if (performance.now() >= functionFrom) noteMiss();
        return runAsScript(batch, isFull);
      },
    );
  }

  async function runAsScript(batch: Batch, isFull: boolean): Promise<Buffer> {
    const { sha, script } = formFor(isFull);
    try {
      return await send('EVALSHA', batch.toArguments(sha, isFull));
    } catch (error) {
      if (!isUnknown(error)) throw error;
      return await send('EVAL', batch.toArguments(script, isFull));
    }
  }

  /**
   * Not as a `Command` of our own: the client may be of another installed copy of ioredis. The arguments are passed as one array, since
   * each call on the way would copy spread ones.
   */
  function send(command: string, args: string[]): Promise<Buffer> {
    return client.callBuffer(command, args) as Promise<Buffer>;
  }

  /** Loads the library, on each master of a Cluster. After a first miss the function is tried at once when loaded, later with back-off. */
  function noteMiss(): void {
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
    // A server may stop answering during the handshake, too.
    const isHandshaking = client.status === 'connect';
    if (client.status !== 'ready' && !isHandshaking) return 'none';
    if (!isCluster(client) || isHandshaking) {
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

/** Removes the command that ioredis attaches to an error: that of a login contains the password. */
function withoutCommand(error: unknown): unknown {
  // If no node of a Cluster answers, the last one's error is attached.
  for (const one of [error, Object(error).lastNodeError]) {
    if (Object(one) === one) Reflect.deleteProperty(one, 'command');
  }
  return error;
}

const formFor = (isFull: boolean) => (isFull ? batchScriptWhenFull : batchScript);

/** Disconnects a node that does not answer a ping. The Cluster reconnects to it with the next command for it. */
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
      // An unknown host name is reported here alone.
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

/** The server does not know the function or script, or may not run it: nothing ran, and the batch may be sent in the next form. */
function isUnknown(error: unknown): boolean {
  return /^(NOSCRIPT|ERR Function not found|ERR unknown command|NOPERM)/i.test(messageOf(error));
}
