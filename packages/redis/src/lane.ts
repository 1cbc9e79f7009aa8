import { outsideRequests } from '@tollgate/core';
import { type Batch, BatchWriter } from './batch.ts';
import type { Connection } from './connection.ts';
import type { TagKeys } from './keys.ts';
import type { NumberReader } from './number-reader.ts';
import type { Operation } from './operation.ts';
import { createQueue } from './queue.ts';
import { createServerClock } from './server-clock.ts';
import { type Answered, createSlot, type Slot } from './slot.ts';
import { unavailable } from './unavailable.ts';

/** Sends the batches of one hash tag, up to two in flight; everything else gathers meanwhile. */
export interface Lane {
  /** Its caller is answered or refused with `quota_unavailable` within the time-out; at once while the store is known to be away. */
  add(operation: Operation<unknown>): void;
  /** Sends empty batches when nothing was sent for a while, to notice a store that lost its data. */
  beat(): void;
  /** Sends what waits. Resolves when all of it is answered, or after the time-out, with the rest refused. */
  drain(): Promise<void>;
}

export interface LaneOptions {
  readonly connection: Connection;
  readonly tag: TagKeys;
  /** There are other lanes that send meanwhile: one batch in flight is enough, beside any in trouble. */
  readonly isOneOfMany: boolean;
  readonly timeoutMs: number;
  /** How long an unawaited commit may wait to be sent with another operation of its org, ms. */
  readonly gatherMs: number;
  readonly lapsedKeepMs: number;
  /** How long Redis recognises a batch, ms. */
  readonly recordMs: number;
  /** For tests only: the script's time. */
  readonly clock: (() => number) | undefined;
  /** The store lost acknowledged writes, or is a different one. */
  readonly onLost: () => void;
  /** This process' live reservations must be reasserted. */
  readonly reassert: () => void;
  readonly onAway: (cause: unknown) => void;
  readonly onBack: (awayMs: number) => void;
  /** A batch was given up: nobody knows whether Redis ran it. */
  readonly onDrop: (cause: unknown) => void;
  /** Operations that outlive their callers are given up: so many. */
  readonly onGivenUp: (operations: number) => void;
}

/** With one, this process and Redis would wait for each other in turn; with more, batches would be small and cost more per operation. */
const SLOTS = 2;
const MOST_OPERATIONS = 512;
/** This many due operations are sent as two batches: this process answers the callers of one while Redis runs the other. */
const WORTH_HALVING = 32;
/** Fewer operations that came while a batch was in flight wait for whatever else has arrived with its reply. */
const WORTH_SENDING = 16;
const MOST_WAITING = 10_000;
const CHECK_SERVER_MS = 1_000;
const PROBE_MS = 1_000;
/** How often, and for how long, an operation is retried whose org cannot be read: while a slot moves, keys come and go. */
const RETRY_MS = { every: 100, most: 60_000 };

export function createLane(options: LaneOptions): Lane {
  const { connection, tag, isOneOfMany, timeoutMs, gatherMs, lapsedKeepMs, recordMs, clock } = options;
  const serverClock = createServerClock(clock);
  const queue = createQueue(gatherMs);
  const writer = new BatchWriter({ tag, recordMs, lapsedKeepMs });
  const slots = Array.from({ length: SLOTS }, (_, index) => {
    const slot: Slot = createSlot({
      connection,
      writer,
      firstNumber: 1 + index * 2 ** 30,
      timeoutMs,
      serverClock,
      recordMs,
      clock,
      onAnswer: land,
      onTrouble(batch, sentAt, cause) {
        // Something sent after this batch was answered: the trouble is with the batch itself, or the way there is not open yet.
        const isServing = slots.some((other) => other.servedAt() > sentAt);
        if (!isServing) return abandon(cause);
        abandonBatch(batch, unavailable(cause));
        schedule();
      },
      onDrop(batch, cause) {
        options.onDrop(cause);
        abandonBatch(batch, unavailable(cause));
        for (const { org, operations } of batch.portions) org.underWay -= operations.length;
        giveUp(outlivingOf(batch));
        schedule();
        // While the store is away something must probe it.
        if (awaySince !== undefined) setTimeout(() => probe(slot), PROBE_MS).unref();
      },
      onDroppedAnswer: answerAll,
    });
    return slot;
  });
  /** The store's latest known epoch; 0 before the first answer. */
  let epoch = 0;
  let awaySince: number | undefined;
  let awayCause: unknown;
  /** Long ago at first, even in a young process: it may have been started together with a server that lost its last writes. */
  let checkedAt = Number.NEGATIVE_INFINITY;
  let isFlushDue = false;
  /** How many operations were due at the end of the last turn of the event loop, and how many of this turn's were sent ahead. */
  let crowd = 0;
  let sentAhead = 0;
  let isDraining = false;
  let isClosed = false;
  let gatherTimer: NodeJS.Timeout | undefined;
  /** Operations whose org could not be read, until their next retry. */
  const retries: Operation<unknown>[] = [];
  let retryTimer: NodeJS.Timeout | undefined;

  const freeSlot = () => slots.find((slot) => slot.batch() === undefined);
  const isIdle = () => slots.every((slot) => slot.batch() === undefined);

  /**
   * Sends what is due. Beside a batch in flight it needs at least half that batch's size, since small batches cost more per operation.
   * A crowd is split evenly over the slots: sent whole beside a small batch, it would come back whole, and this process and Redis would
   * wait for each other in turn. The rest goes when a batch is answered or given up.
   */
  function launchDue(now: number): void {
    const one = freeSlot();
    if (one === undefined) return;
    const due = queue.due();
    const beside = sizeUnderWay();
    if (isOneOfMany ? beside > 0 : 2 * due < beside) return;
    const isShared = !isOneOfMany && due >= WORTH_HALVING && 2 * beside < due && (beside > 0 || isIdle());
    launch(one, now, isShared ? Math.ceil((due + beside) / 2) : MOST_OPERATIONS);
    const other = isShared ? freeSlot() : undefined;
    if (other !== undefined) launch(other, now);
  }

  /** How many operations are in flight, leaving out batches in trouble, which must not hold others up. */
  function sizeUnderWay(): number {
    let size = 0;
    for (const slot of slots) if (!slot.isInTrouble()) size += slot.batch()?.size ?? 0;
    return size;
  }

  /** Sends an empty batch: what waits is kept until the store is back, since the operations of a batch that is given up are not retried. */
  function probe(slot: Slot): void {
    if (awaySince !== undefined && !isDraining && slot.batch() === undefined)
      slot.launch([], true, performance.now());
  }

  function add(operation: Operation<unknown>): void {
    const isCrowded = queue.size() >= MOST_WAITING;
    if (isCrowded || awaySince !== undefined) {
      operation.reject(unavailable(awayCause ?? new Error('Too much waits for Redis.')));
      if (isCrowded && operation.outlivesCaller) giveUp(1);
      if (isCrowded || !operation.outlivesCaller) return;
      operation.isAbandoned = true;
    }
    queue.add(operation);
    schedule();
    sendAhead();
  }

  /**
   * While this process still reads a crowd of requests, Redis can begin with the first half of them. The size of the crowd is taken from
   * the turn before. About as much again is due at the end of this turn, enough to go at once beside the first half.
   */
  function sendAhead(): void {
    if (isOneOfMany || crowd < WORTH_HALVING || queue.due() < crowd / 2) return;
    if (awaySince !== undefined || !isIdle()) return;
    const [slot] = slots;
    if (slot === undefined) return;
    launch(slot, performance.now());
    sentAhead += slot.batch()?.size ?? 0;
  }

  /** Does nothing while the store is away: the batches in flight are its probes, and nothing is added to them. */
  function schedule(): void {
    if (isFlushDue || awaySince !== undefined) return;
    if (queue.due() === 0) gather();
    else if (freeSlot() !== undefined) {
      isFlushDue = true;
      setImmediate(endTurn);
    }
  }

  function gather(): void {
    if (queue.size() === queue.due()) return;
    gatherTimer ??= setTimeout(gathered, Math.max(1, queue.ripensAt() - performance.now()));
  }

  /** Runs at the end of a turn of the event loop, when all operations that were asked in it are known. */
  function endTurn(): void {
    crowd = sentAhead + queue.due();
    sentAhead = 0;
    flush();
  }

  function flush(): void {
    isFlushDue = false;
    if (awaySince !== undefined) return;
    const now = performance.now();
    queue.ripen(now);
    if (queue.due() > 0) launchDue(now);
    // Patient operations do not wait for a reply: Redis may be slow, or away.
    gather();
  }

  function gathered(): void {
    gatherTimer = undefined;
    if (!isFlushDue) flush();
  }

  function launch(slot: Slot, now: number, most = MOST_OPERATIONS): void {
    if (isClosed) return;
    const checkServer = now - checkedAt > CHECK_SERVER_MS;
    if (checkServer) checkedAt = now;
    const portions = queue.take(Math.min(most, MOST_OPERATIONS), isDraining ? Number.POSITIVE_INFINITY : now);
    // Its answer resumes the callers of many requests, so it belongs to none of them.
    outsideRequests(() => slot.launch(portions, checkServer, now));
  }

  function land(answered: Answered): void {
    const { batch, numbers } = answered;
    // Before anything else is sent: what other slots still hold from before the outage goes first.
    if (answered.isBack) for (const slot of slots) slot.retryNow();
    if (awaySince !== undefined) {
      options.onBack(performance.now() - awaySince);
      awaySince = undefined;
      awayCause = undefined;
      checkedAt = Number.NEGATIVE_INFINITY;
    }
    queue.refuseOverdue(timeoutMs);
    // Redis works on these while this process handles the answers. A few had better wait for what has arrived meanwhile.
    if (queue.due() >= WORTH_SENDING) launchDue(performance.now());
    answerAll(batch, numbers);
    for (const { org, operations } of batch.portions) org.underWay -= operations.length;
    const isLost = epoch > 0 && answered.epoch > epoch;
    if (isLost) options.onLost();
    // The same for an answer from before the loss that is handled after it: the store no longer knows what it reserved.
    if (isLost || answered.epoch < epoch) options.reassert();
    epoch = Math.max(epoch, answered.epoch);
    schedule();
  }

  function answerAll({ portions }: Batch, numbers: NumberReader): void {
    for (const { operations } of portions) for (const operation of operations) answer(operation, numbers);
  }

  function answer(operation: Operation<unknown>, numbers: NumberReader): void {
    let result: unknown;
    try {
      result = operation.read(numbers);
    } catch (error) {
      if (!operation.isAbandoned) operation.reject(error);
      if (operation.outlivesCaller) retryLater(operation);
      return;
    }
    if (!operation.isAbandoned) {
      operation.settled(result);
      operation.resolve(result);
    } else operation.settledLate(result);
    const undoing = operation.undo(result);
    if (undoing !== null) add(undoing);
  }

  function retryLater(operation: Operation<unknown>): void {
    const now = performance.now();
    operation.isAbandoned = true;
    operation.unreadableSince ??= now;
    if (now - operation.unreadableSince > RETRY_MS.most || retries.length >= MOST_WAITING) giveUp(1);
    else {
      retries.push(operation);
      retryTimer ??= setTimeout(requeueRetries, RETRY_MS.every).unref();
    }
  }

  function giveUp(operations: number): void {
    if (operations > 0) options.onGivenUp(operations);
  }

  /** How many operations of a batch outlive their callers. */
  function outlivingOf({ portions }: Batch): number {
    return portions.reduce(
      (sum, { operations }) => sum + operations.filter(({ outlivesCaller }) => outlivesCaller).length,
      0,
    );
  }

  function requeueRetries(): void {
    clearTimeout(retryTimer);
    retryTimer = undefined;
    for (const operation of retries.splice(0)) queue.add(operation);
    schedule();
  }

  /** Refuses all callers: the store is away. */
  function abandon(cause: unknown): void {
    awayCause = cause;
    const isNews = awaySince === undefined;
    awaySince ??= performance.now();
    const error = unavailable(cause);
    for (const slot of slots) {
      const batch = slot.batch();
      if (batch !== undefined) abandonBatch(batch, error);
    }
    queue.abandon(error);
    if (isNews) options.onAway(cause);
  }

  function abandonBatch({ portions }: Batch, error: unknown): void {
    for (const { operations } of portions) {
      for (const operation of operations) operation.refuse(error);
    }
  }

  return {
    add,
    beat() {
      const now = performance.now();
      for (const slot of slots) {
        if (awaySince === undefined && slot.batch() === undefined && now - slot.ackedAt() > CHECK_SERVER_MS)
          launch(slot, now);
      }
    },
    async drain() {
      isDraining = true;
      const endsAt = performance.now() + timeoutMs;
      requeueRetries();
      while ((!isIdle() || queue.size() + retries.length > 0) && performance.now() < endsAt) {
        const slot = freeSlot();
        if (slot !== undefined && queue.size() > 0) launch(slot, performance.now());
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      clearTimeout(gatherTimer);
      clearTimeout(retryTimer);
      isClosed = true;
      const closed = unavailable(new Error('The counter store is closed.'));
      queue.abandon(closed);
      let left = queue.size() + retries.length;
      for (const slot of slots) {
        const batch = slot.batch();
        slot.close();
        if (batch === undefined) continue;
        abandonBatch(batch, closed);
        left += outlivingOf(batch);
      }
      giveUp(left);
    },
  };
}
