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

/** The batches of one hash tag: one or two on their way, everything else gathers meanwhile. */
export interface Lane {
  /** Its caller is answered, or refused with `quota_unavailable`: within the time-out, at once while the store is known to be away. */
  add(operation: Operation<unknown>): void;
  /** Sends empty batches when nothing was sent for a while, to notice a store that lost its data. */
  beat(): void;
  /** Sends what waits and resolves when it is answered, or after the time-out: then everything has been answered or refused. */
  drain(): Promise<void>;
}

export interface LaneOptions {
  readonly connection: Connection;
  readonly tag: TagKeys;
  /** Others send meanwhile: one batch on its way is enough, but for one in trouble. */
  readonly isOneOfMany: boolean;
  readonly timeoutMs: number;
  /** How long a commit that nobody waits for waits for company, ms. */
  readonly gatherMs: number;
  readonly lapsedKeepMs: number;
  /** How long Redis recognises a batch, ms. */
  readonly recordMs: number;
  /** For tests alone: what the script takes for the time. */
  readonly clock: (() => number) | undefined;
  /** The store forgot acknowledged writes, or is another one. */
  readonly onLost: () => void;
  /** What this process holds must be made known to the store again. */
  readonly reassert: () => void;
  readonly onAway: (cause: unknown) => void;
  readonly onBack: (awayMs: number) => void;
  /** A batch was given up: nobody knows whether Redis ran it. */
  readonly onDrop: (cause: unknown) => void;
  /** So many operations that were to be told again will not be. */
  readonly onGivenUp: (operations: number) => void;
}

/** With one, this process and Redis would wait for each other in turn; with more, batches become small and dear. */
const SLOTS = 2;
const MOST_OPERATIONS = 512;
/** So many operations at once are sent as two batches: this process answers the callers of one while Redis decides on the other. */
const WORTH_HALVING = 32;
/** Fewer that came while a batch was on its way wait for what else has arrived with its answer. */
const WORTH_SENDING = 16;
const MOST_WAITING = 10_000;
const CHECK_SERVER_MS = 1_000;
const PROBE_MS = 1_000;
/** How often, and how long, what could not be done is told again: while a slot moves, keys come and go. */
const TELL_AGAIN_MS = { every: 100, most: 60_000 };

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
        // What was sent after it was answered: the store has something against this batch, or the way there is not open yet.
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
        // While the store is away somebody must ask whether it still is.
        if (awaySince !== undefined) setTimeout(() => probe(slot), PROBE_MS).unref();
      },
      onDroppedAnswer: answerAll,
    });
    return slot;
  });
  /** The store's latest epoch; 0 before the first answer. */
  let epoch = 0;
  let awaySince: number | undefined;
  let awayCause: unknown;
  /** Long ago at first, however young this process is: it may have been started with a server that lost its last writes. */
  let checkedAt = Number.NEGATIVE_INFINITY;
  let isFlushDue = false;
  /** How much was due at the end of the last turn of the event loop, and how much of this turn's was sent ahead. */
  let crowd = 0;
  let sentAhead = 0;
  let isDraining = false;
  let isClosed = false;
  let gatherTimer: NodeJS.Timeout | undefined;
  /** What could not be done, and is to be told again. */
  const putOff: Operation<unknown>[] = [];
  let againTimer: NodeJS.Timeout | undefined;

  const freeSlot = () => slots.find((slot) => slot.batch() === undefined);
  const isIdle = () => slots.every((slot) => slot.batch() === undefined);

  /**
   * Sends what is due; beside a batch on its way only if it is half as much, since small batches are dear. A crowd is shared out evenly: one that
   * went as a whole beside a small batch would come back as a whole, and this process and Redis would wait for each other in turn. What is
   * left goes when a batch is answered, or dropped.
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

  /** What is in trouble holds nobody up. */
  function sizeUnderWay(): number {
    let size = 0;
    for (const slot of slots) if (!slot.isInTrouble()) size += slot.batch()?.size ?? 0;
    return size;
  }

  /** What waits stays for when the store is back: of a batch that is dropped nothing is told again. */
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
   * While this process reads a crowd of requests Redis may begin with the first half of them. How many they are is known from the turn before: what
   * is left at its end is as much again, so that it can go at once beside the first.
   */
  function sendAhead(): void {
    if (isOneOfMany || crowd < WORTH_HALVING || queue.due() < crowd / 2) return;
    if (awaySince !== undefined || !isIdle()) return;
    const [slot] = slots;
    if (slot === undefined) return;
    launch(slot, performance.now());
    sentAhead += slot.batch()?.size ?? 0;
  }

  /** While the store is away the batches on their way are its probes: nothing is added to them. */
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

  /** Of the event loop: what was asked in it is known now. */
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
    // What is patient does not wait for an answer: Redis may be slow, or away.
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
    // Callers of many requests are told by its answer.
    outsideRequests(() => slot.launch(portions, checkServer, now));
  }

  function land(answered: Answered): void {
    const { batch, numbers } = answered;
    // Before anything else is sent: what the others still say of the time before the outage comes first.
    if (answered.isBack) for (const slot of slots) slot.hurry();
    if (awaySince !== undefined) {
      options.onBack(performance.now() - awaySince);
      awaySince = undefined;
      awayCause = undefined;
      checkedAt = Number.NEGATIVE_INFINITY;
    }
    queue.refuseOverdue(timeoutMs);
    // Redis works on what waits while this process works on the answers. A few had better wait for what has arrived meanwhile.
    if (queue.due() >= WORTH_SENDING) launchDue(performance.now());
    answerAll(batch, numbers);
    for (const { org, operations } of batch.portions) org.underWay -= operations.length;
    const isLost = epoch > 0 && answered.epoch > epoch;
    if (isLost) options.onLost();
    // One of before the loss that is handled after it: what it reserved is not known any more.
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
      if (operation.outlivesCaller) tellAgain(operation);
      return;
    }
    if (!operation.isAbandoned) {
      operation.settled(result);
      operation.resolve(result);
    } else operation.settledLate(result);
    const undoing = operation.undo(result);
    if (undoing !== null) add(undoing);
  }

  function tellAgain(operation: Operation<unknown>): void {
    const now = performance.now();
    operation.isAbandoned = true;
    operation.putOffAt ??= now;
    if (now - operation.putOffAt > TELL_AGAIN_MS.most || putOff.length >= MOST_WAITING) giveUp(1);
    else {
      putOff.push(operation);
      againTimer ??= setTimeout(requeuePutOff, TELL_AGAIN_MS.every).unref();
    }
  }

  function giveUp(operations: number): void {
    if (operations > 0) options.onGivenUp(operations);
  }

  /** How many of a batch are told though their callers have heard that they failed. */
  function outlivingOf({ portions }: Batch): number {
    return portions.reduce(
      (sum, { operations }) => sum + operations.filter(({ outlivesCaller }) => outlivesCaller).length,
      0,
    );
  }

  function requeuePutOff(): void {
    clearTimeout(againTimer);
    againTimer = undefined;
    for (const operation of putOff.splice(0)) queue.add(operation);
    schedule();
  }

  /** Tells all callers that the store is away. */
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
      requeuePutOff();
      while ((!isIdle() || queue.size() + putOff.length > 0) && performance.now() < endsAt) {
        const slot = freeSlot();
        if (slot !== undefined && queue.size() > 0) launch(slot, performance.now());
        await new Promise((resolve) => setTimeout(resolve, 2));
      }
      clearTimeout(gatherTimer);
      clearTimeout(againTimer);
      isClosed = true;
      const closed = unavailable(new Error('The counter store is closed.'));
      queue.abandon(closed);
      let left = queue.size() + putOff.length;
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
