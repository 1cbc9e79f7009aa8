import { randomBytes, randomInt } from 'node:crypto';
import type { Batch } from './batch.ts';
import { writeBatch } from './batch.ts';
import type { Connection } from './connection.ts';
import type { TagKeys } from './keys.ts';
import { type NumberReader, numberReader, startOfList } from './number-reader.ts';
import type { Operation } from './operation.ts';
import { createQueue } from './queue.ts';
import { classifyRefusal } from './refusal.ts';
import { unavailable } from './unavailable.ts';

/** The batches of one hash tag: one in flight at a time, everything else gathers meanwhile. */
export interface Lane {
  /** @throws TollgateError `quota_unavailable` within the time-out, at once while the store is known to be away */
  ask<T>(operation: Operation<T>): Promise<T>;
  /** Sends an empty batch when nothing was sent for a while, to notice a store that lost its data. */
  beat(): void;
  /** Sends what waits and resolves when it is answered, or after the time-out. */
  drain(): Promise<void>;
}

export interface LaneOptions {
  readonly connection: Connection;
  readonly tag: TagKeys;
  readonly timeoutMs: number;
  /** How long a commit that nobody waits for waits for company, ms. */
  readonly gatherMs: number;
  readonly lapsedKeepMs: number;
  /** For tests alone: what the script takes for the time. */
  readonly clock: (() => number) | undefined;
  /** The store forgot acknowledged writes, or is another one. */
  readonly onLost: () => void;
  readonly onAway: (cause: unknown) => void;
  readonly onBack: (awayMs: number) => void;
}

/** A batch on its way. */
interface Flight {
  readonly batch: Batch;
  readonly sentAt: number;
  isFull: boolean;
  retries: number;
  isAnswered: boolean;
  isDropped: boolean;
}

const MOST_OPERATIONS = 512;
const LEAST_HALF = 16;
const MOST_WAITING = 10_000;
/** How long Redis recognises a batch; a batch without an answer is dropped after half of it. */
const RECORD_MS = 120_000;
const GIVE_UP_MS = RECORD_MS / 2;
const CHECK_SERVER_MS = 1_000;
const RECONNECT_MS = 1_000;
const RETRY_MS = { first: 25, most: 1_000 };

export function createLane(options: LaneOptions): Lane {
  const { connection, tag, timeoutMs, gatherMs, lapsedKeepMs, clock } = options;
  const queue = createQueue(gatherMs);
  let process = randomBytes(6).toString('base64url');
  let seq = 0;
  let epoch: number | undefined;
  let flight: Flight | undefined;
  let awaySince: number | undefined;
  let awayCause: unknown;
  let ackedAt = 0;
  let checkedAt = 0;
  let reconnectAt = 0;
  let isFlushDue = false;
  let isDraining = false;
  let gatherTimer: NodeJS.Timeout | undefined;
  let watchdog: NodeJS.Timeout | undefined;

  function ask<T>(operation: Operation<T>): Promise<T> {
    return new Promise<T>((resolve, reject) => {
      operation.resolve = resolve as (answer: unknown) => void;
      operation.reject = reject;
      const isAway = awaySince !== undefined;
      if (isAway || queue.size >= MOST_WAITING) {
        reject(unavailable(awayCause));
        if (!operation.outlivesCaller || queue.size >= MOST_WAITING) return;
        operation.isAbandoned = true;
      }
      queue.add(operation);
      if (flight === undefined) schedule();
    });
  }

  function schedule(): void {
    if (queue.size === 0 || isFlushDue) return;
    const { dueAt } = queue;
    if (dueAt === 0) {
      isFlushDue = true;
      setImmediate(flush);
    } else gatherTimer ??= setTimeout(gathered, Math.max(1, dueAt - performance.now()));
  }

  function flush(): void {
    isFlushDue = false;
    if (flight !== undefined) return;
    const now = performance.now();
    // Half of many: from then on this process answers the callers of one half while Redis decides on the other. All at once, each
    // would wait for the other in turn.
    if (queue.dueAt <= now) launch(Math.max(LEAST_HALF, Math.ceil(queue.countDue(now) / 2)));
    else schedule();
  }

  function gathered(): void {
    gatherTimer = undefined;
    if (!isFlushDue) flush();
  }

  function launch(most = MOST_OPERATIONS): void {
    const now = performance.now();
    const checkServer = now - checkedAt > CHECK_SERVER_MS;
    if (checkServer) checkedAt = now;
    seq += 1;
    const head = {
      seq,
      nonce: randomInt(1, 2 ** 32),
      mustBeKnown: seq > 1 && now - ackedAt < GIVE_UP_MS,
      recordMs: RECORD_MS,
      checkServer,
      clock: clock?.() ?? (false as const),
      lapsedKeepMs,
    };
    const portions = queue.take(Math.min(most, MOST_OPERATIONS), isDraining ? Number.POSITIVE_INFINITY : now);
    flight = {
      batch: writeBatch(head, tag, process, portions),
      sentAt: now,
      isFull: false,
      retries: 0,
      isAnswered: false,
      isDropped: false,
    };
    reconnectAt = now + RECONNECT_MS;
    watchdog ??= setTimeout(watch, timeoutMs).unref();
    send();
  }

  function send(): void {
    const sent = flight;
    if (sent === undefined) return;
    const { batch, isFull } = sent;
    connection.run(batch.keys, batch.toText(isFull), { isFull }).then(
      (reply) => {
        sent.isAnswered = true;
        if (sent.isDropped) return landDropped(sent, reply);
        // What else has arrived with the reply is read first: it goes out with the next batch, before the callers of this one go on.
        if (batch.size >= LEAST_HALF) setImmediate(() => sent === flight && land(reply));
        else if (sent === flight) land(reply);
      },
      (error) => sent === flight && refused(error),
    );
  }

  function land(reply: Buffer): void {
    if (flight === undefined) return;
    const { batch } = flight;
    const numbers = numberReader(reply, startOfList(reply));
    if (numbers.next() !== batch.seq) {
      // The answer to something else: this socket's replies have slipped.
      flight.isAnswered = false;
      watchdog ??= setTimeout(watch, timeoutMs).unref();
      connection.reconnect();
      retry();
      return;
    }
    const storeEpoch = numbers.next();
    flight = undefined;
    ackedAt = performance.now();
    if (awaySince !== undefined) {
      options.onBack(ackedAt - awaySince);
      awaySince = undefined;
      checkedAt = 0;
    }
    // Redis works on what waits while this process works on the answers.
    if (queue.dueAt === 0) launch();
    for (const { org, operations } of batch.portions) {
      org.underWay -= operations.length;
      for (const operation of operations) answer(operation, numbers);
    }
    if (epoch !== undefined && epoch !== storeEpoch) options.onLost();
    epoch = storeEpoch;
    if (flight === undefined) schedule();
  }

  /** A batch that was given up may be run all the same when the connection is back. Its first answer counts, while Redis recognises it. */
  function landDropped(dropped: Flight, reply: Buffer): void {
    const { batch, sentAt } = dropped;
    const numbers = numberReader(reply, startOfList(reply));
    if (numbers.next() !== batch.seq || performance.now() - sentAt >= RECORD_MS) return;
    dropped.isDropped = false;
    numbers.next();
    for (const { operations } of batch.portions) {
      for (const operation of operations) answer(operation, numbers);
    }
  }

  function answer(operation: Operation<unknown>, numbers: NumberReader): void {
    let result: unknown;
    try {
      result = operation.read(numbers);
    } catch (error) {
      operation.reject(error);
      return;
    }
    if (!operation.isAbandoned) {
      operation.settled(result);
      operation.resolve(result);
    } else {
      operation.settledLate(result);
      const undoing = operation.undo(result);
      if (undoing !== null) void ask(undoing).catch(() => {});
    }
  }

  /** Redis answered with an error: as far as this copy goes, nothing was run. */
  function refused(error: unknown): void {
    if (flight === undefined) return;
    const refusal = classifyRefusal(error);
    if (refusal === 'full' && !flight.isFull) {
      flight.isFull = true;
      send();
    } else if (refusal === 'broken') drop(error);
    else {
      abandon(error);
      retry();
    }
  }

  /** Sends the same batch again after a while: an earlier copy may have been run all the same. */
  function retry(): void {
    const waiting = flight;
    if (waiting === undefined) return;
    if (performance.now() - waiting.sentAt > GIVE_UP_MS) {
      drop(awayCause);
      return;
    }
    const pause = Math.min(RETRY_MS.first * 2 ** waiting.retries, RETRY_MS.most);
    waiting.retries += 1;
    setTimeout(() => waiting === flight && send(), pause).unref();
  }

  function watch(): void {
    watchdog = undefined;
    // One more turn of the event loop: an answer may lie in the socket while this process was busy.
    setImmediate(() => {
      if (flight === undefined || flight.isAnswered) return;
      const now = performance.now();
      const age = now - flight.sentAt;
      if (age >= timeoutMs) abandon(new Error(`Redis did not answer within ${timeoutMs} ms.`));
      if (age > GIVE_UP_MS) drop(awayCause);
      else if (now >= reconnectAt) {
        reconnectAt = now + Math.min(age, 10_000);
        if (connection.isReady) connection.reconnect();
      }
      if (flight !== undefined) {
        watchdog ??= setTimeout(watch, age < timeoutMs ? timeoutMs - age : timeoutMs).unref();
      }
    });
  }

  /** Tells all callers that the store is away. The batch in flight is kept: it is also the probe. */
  function abandon(cause: unknown): void {
    awayCause = cause;
    if (awaySince === undefined) {
      awaySince = performance.now();
      options.onAway(cause);
    }
    const error = unavailable(cause);
    for (const { operations } of flight?.batch.portions ?? []) {
      for (const operation of operations) {
        if (!operation.isAbandoned) operation.reject(error);
        operation.isAbandoned = true;
      }
    }
    queue.abandon(error);
  }

  /** Gives a batch up, never to be sent again: a new process id makes its late copies harmless to what follows. */
  function drop(cause: unknown): void {
    abandon(cause);
    if (flight !== undefined) {
      for (const { org, operations } of flight.batch.portions) org.underWay -= operations.length;
      flight.isDropped = true;
    }
    flight = undefined;
    process = randomBytes(6).toString('base64url');
    seq = 0;
    launch();
  }

  return {
    ask,
    beat() {
      if (flight === undefined && performance.now() - ackedAt > CHECK_SERVER_MS) launch();
    },
    async drain() {
      isDraining = true;
      const endsAt = performance.now() + timeoutMs;
      while ((flight !== undefined || queue.size > 0) && performance.now() < endsAt) {
        if (flight === undefined) launch();
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      clearTimeout(gatherTimer);
      clearTimeout(watchdog);
    },
  };
}
