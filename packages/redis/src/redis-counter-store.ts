import type { CounterStore } from '@tollgate/core';
import {
  checkAdjust,
  checkCounts,
  checkRenew,
  checkReservation,
  checkReserve,
  checkSettle,
  noTelemetry,
  stderrLogger,
  TollgateError,
  unfailing,
} from '@tollgate/core';
import { checkServer } from './check-server.ts';
import { isCluster, openConnection } from './connection.ts';
import { spellKeys } from './keys.ts';
import { createLane } from './lane.ts';
import { createLiveReservations } from './live-reservations.ts';
import type { Operation } from './operation.ts';
import {
  AwaitedSettleOperation,
  adjustOperation,
  beginRecountOperation,
  finishRecountOperation,
  ReassertOperation,
  ReserveOperation,
  readOperation,
  renewOperation,
  UnawaitedSettleOperation,
} from './operations.ts';
import type { RedisCounterStoreOptions } from './options.ts';
import { createOrgStates, type OrgState } from './org-states.ts';
import { unavailable } from './unavailable.ts';

/** How often a process with live reservations checks that the store still has its data, ms. */
const BEAT_MS = 1_000;
const RECORD_MS = 120_000;
const ASKED_AT_ONCE = 500;

/**
 * A counter store in Redis, for all processes that share it. Its counts are exact under any interleaving; after a loss of data they are
 * unknown rather than wrong.
 *
 * ```ts
 * const counters = redisCounterStore({ url: 'redis://127.0.0.1:6379' });
 * const billing = createBilling({ counters, ... });
 * ```
 *
 * @throws TollgateError `invalid_configuration` when the options do not fit together
 */
export function redisCounterStore(options: RedisCounterStoreOptions): CounterStore {
  return openRedisCounterStore(options);
}

/** For tests only. */
export interface Testing {
  /** The script's time, instead of the server's clock. */
  readonly clock?: () => number;
  /** How long Redis recognises a batch, ms. */
  readonly recordMs?: number;
}

export function openRedisCounterStore(
  options: RedisCounterStoreOptions,
  { clock, recordMs = RECORD_MS }: Testing = {},
): CounterStore {
  const target = targetOf(options);
  const { prefix = 'tg', timeoutMs = 200, gatherMs = 20, lapsedKeepMs = 600_000 } = options;
  const logger = unfailing(options.logger ?? stderrLogger, ['debug', 'info', 'warn', 'error']);
  const telemetry = unfailing(options.telemetry ?? noTelemetry, ['count']);
  const hashTags = options.hashTags ?? ('client' in target && isCluster(target.client) ? 6 : 1);
  checkOptions({ ...options, prefix, timeoutMs, gatherMs, lapsedKeepMs, hashTags });

  const connection = openConnection(target, logger);
  const keys = spellKeys({ prefix, hashTags });
  const states = createOrgStates(keys.org);
  const live = createLiveReservations(states, clock);
  const lanes = keys.tags.map((tag, index) =>
    createLane({
      connection,
      tag,
      isOneOfMany: keys.tags.length > 2,
      timeoutMs,
      gatherMs,
      lapsedKeepMs,
      recordMs,
      clock,
      onLost() {
        telemetry.count('tollgate.store_lost', 1);
        logger.warn('redis lost data: every counter is counted anew before it decides', {
          reservations: live.size(),
        });
      },
      reassert: () => void reassertAll(index),
      onAway(cause) {
        telemetry.count('tollgate.store_away', 1);
        logger.error('redis does not answer: quotas cannot be checked', { error: cause });
      },
      onDrop: (error) => logger.error('redis cannot run a batch of operations: it is given up', { error }),
      onGivenUp(operations) {
        telemetry.count('tollgate.given_up', operations);
      },
      onBack: (awayMs) => logger.warn('redis answers again', { awayMs: Math.round(awayMs) }),
    }),
  );
  function add(operation: Operation<unknown>): void {
    const lane = lanes[operation.org.tag];
    if (lane === undefined || isClosed)
      operation.reject(unavailable(new Error('The counter store is closed.')));
    else lane.add(operation);
  }

  function ask<T>(operation: Operation<T>): Promise<T> {
    const promise = operation.promise();
    add(operation);
    return promise;
  }
  let isClosed = false;
  let closing: Promise<void> | undefined;
  let beat: NodeJS.Timeout | undefined;
  void checkServer(connection, logger);

  /** The store lost a hash tag's data: reservations live in this process must be held there again before a recount admits others. */
  async function reassertAll(tag: number): Promise<void> {
    const orgs = live.orgs().filter((org) => org.tag === tag);
    await inPortions(orgs.flatMap(reassertions), ask);
  }

  async function reassert(org: OrgState): Promise<void> {
    await Promise.all(reassertions(org).map(ask));
  }

  function reassertions(org: OrgState): readonly ReassertOperation[] {
    return live
      .list(org)
      .map(({ reservation, leftMs }) => new ReassertOperation(org, reservation, leftMs, live));
  }

  async function renewOne({ org, id }: { org: string; id: string }, leaseMs: number): Promise<boolean> {
    const state = states.of(org);
    const isHeld = (await ask(renewOperation(state, id, leaseMs))) || (await holdAgain(state, id, leaseMs));
    if (isHeld) live.renewed(state, id, leaseMs);
    return isHeld;
  }

  /**
   * Holds again a live reservation of this process that the store does not know: the org's data alone may have been lost, which no
   * change of epoch shows. Changes nothing if the store remembers that the reservation has ended.
   */
  async function holdAgain(org: OrgState, id: string, leaseMs: number): Promise<boolean> {
    const reservation = live.get(org, id);
    return reservation !== undefined && (await ask(new ReassertOperation(org, reservation, leaseMs, live)));
  }

  function keepBeating(): void {
    beat ??= setInterval(() => {
      live.tidy();
      if (live.size() > 0) for (const lane of lanes) lane.beat();
      else {
        clearInterval(beat);
        beat = undefined;
      }
    }, BEAT_MS).unref();
  }

  return {
    reserve(request) {
      try {
        checkReserve(request);
      } catch (error) {
        return Promise.reject(error);
      }
      keepBeating();
      return ask(new ReserveOperation(states.of(request.org), request, live));
    },
    async settle(request) {
      checkSettle(request);
      const org = states.of(request.org);
      live.remove(org, request.id);
      return await ask(new AwaitedSettleOperation(org, request));
    },
    settleUnawaited(reservation, as, listener) {
      const org = states.of(reservation.org);
      // A live reservation was checked by its reserve, except for a `rememberMs` that this settle adds.
      if (!live.remove(org, reservation.id) || reservation.rememberMs !== 0) {
        try {
          checkReservation(reservation);
        } catch (error) {
          listener.failed(error);
          return;
        }
      }
      add(new UnawaitedSettleOperation(org, reservation, as, listener));
    },
    async renew(request) {
      checkRenew(request);
      const { leases, leaseMs } = request;
      const results = await inPortions(leases, (lease) => renewOne(lease, leaseMs));
      return results.map((result) => {
        if (result.status === 'rejected') throw result.reason;
        return result.value;
      });
    },
    async adjust(request) {
      checkAdjust(request);
      return await ask(adjustOperation(states.of(request.org), request));
    },
    async read({ org, counters }) {
      return await ask(readOperation(states.of(org), counters));
    },
    async beginRecount({ org, counters }) {
      const state = states.of(org);
      const tokens = await ask(beginRecountOperation(state, counters));
      if (tokens.some(({ reading }) => reading === null)) await reassert(state);
      return tokens;
    },
    async finishRecount(request) {
      checkCounts(request);
      return await ask(finishRecountOperation(states.of(request.org), request));
    },
    transactions: null,
    close() {
      isClosed = true;
      clearInterval(beat);
      closing ??= Promise.all(lanes.map((lane) => lane.drain())).then(connection.close);
      return closing;
    },
  };
}

/** Asks in portions: all at once could fill the queue and leave no room for creates. */
async function inPortions<T, R>(
  things: readonly T[],
  askFor: (thing: T) => Promise<R>,
): Promise<readonly PromiseSettledResult<R>[]> {
  const results: PromiseSettledResult<R>[] = [];
  for (let first = 0; first < things.length; first += ASKED_AT_ONCE) {
    const some = things.slice(first, first + ASKED_AT_ONCE).map(askFor);
    results.push(...(await Promise.allSettled(some)));
  }
  return results;
}

const OPTION_NAMES = {
  client: true,
  url: true,
  prefix: true,
  hashTags: true,
  timeoutMs: true,
  gatherMs: true,
  lapsedKeepMs: true,
  logger: true,
  telemetry: true,
} as const satisfies { readonly [P in keyof Required<RedisCounterStoreOptions>]: true };

function targetOf(options: RedisCounterStoreOptions) {
  const { client, url } = options ?? {};
  if (client !== undefined && url === undefined) {
    // Not `duplicate`: clients of the package `redis` have that too.
    if (typeof Object(client).callBuffer === 'function') return { client };
    throw new TollgateError('invalid_configuration', {
      message:
        'redisCounterStore: `client` is no client of ioredis. Pass { client: new Redis(...) } of the package ioredis, or { url }.',
    });
  }
  if (client === undefined && url !== undefined) {
    // ioredis takes an empty string (an unset variable) for localhost, and a `URL` object for options, which loses TLS.
    // ioredis 5 parses a backslash as `/`: a password with one crashed the host, with an error that shows the url.
    if (isAddress(url)) return { url: url.replaceAll('\\', '%5C') };
    throw new TollgateError('invalid_configuration', {
      message:
        'redisCounterStore: `url` is no address of a Redis. Write it as a text, redis://host:port or rediss://host:port, ' +
        'and in a password %23 for #, %2F for /, %3F for ? and %25 for %.',
    });
  }
  throw new TollgateError('invalid_configuration', {
    message: 'redisCounterStore needs a client or a url, and not both.',
  });
}

/** Checked here because the errors that ioredis would throw show the url with its password. */
function isAddress(url: unknown): url is string {
  if (typeof url !== 'string' || !/^rediss?:\/\//.test(url) || !URL.canParse(url)) return false;
  const { username, password } = new URL(url);
  try {
    for (const part of [username, password]) decodeURIComponent(part);
    return true;
  } catch {
    return false;
  }
}

function checkOptions(options: {
  prefix: string;
  timeoutMs: number;
  gatherMs: number;
  lapsedKeepMs: number;
  hashTags: number;
}): void {
  const faults: string[] = [];
  for (const name of Object.keys(options)) {
    if (!Object.hasOwn(OPTION_NAMES, name))
      faults.push(`${name}: is not an option. Correct its spelling or leave it out.`);
  }
  if (!/^[A-Za-z0-9_.:-]{1,64}$/.test(options.prefix))
    faults.push('prefix: use 1 to 64 of A-Z, a-z, 0-9, `_`, `.`, `:` and `-`.');
  const wholes = [
    ['timeoutMs', 1, 60_000],
    ['gatherMs', 0, 1_000],
    ['lapsedKeepMs', 0, 86_400_000],
    ['hashTags', 1, 256],
  ] as const;
  for (const [name, least, most] of wholes) {
    const value = options[name];
    if (!Number.isInteger(value) || value < least || value > most)
      faults.push(`${name}: use a whole number from ${least} to ${most}.`);
  }
  if (faults.length > 0) {
    throw new TollgateError('invalid_configuration', {
      message: `The options of redisCounterStore have faults:\n${faults.map((fault) => `  - ${fault}`).join('\n')}`,
    });
  }
}
