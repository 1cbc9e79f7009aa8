import { randomBytes, randomInt } from 'node:crypto';
import type { Batch, BatchHead, BatchWriter } from './batch.ts';
import type { Connection } from './connection.ts';
import { messageOf } from './message-of.ts';
import { NumberReader, startOfList } from './number-reader.ts';
import type { Portion } from './queue.ts';
import { classifyRefusal } from './refusal.ts';
import type { ServerClock } from './server-clock.ts';

/** Has one batch in flight at a time, and resends it until Redis answers it or until it is too old to be recognised. */
export interface Slot {
  /** The batch in flight; undefined if the slot is free. */
  batch(): Batch | undefined;
  /** When Redis last answered one of its batches, on the clock of `performance.now()`. */
  ackedAt(): number;
  /** When that batch was last sent: Redis was serving at some time after this. */
  servedAt(): number;
  /** Its batch was refused, or was not answered in time. */
  isInTrouble(): boolean;
  /** @param now - on the clock of `performance.now()` */
  launch(portions: readonly Portion[], checkServer: boolean, now: number): void;
  /** Resends at once a batch that waits for its next retry. */
  retryNow(): void;
  /** Stops sending and waiting. */
  close(): void;
}

export interface Answered {
  readonly batch: Batch;
  /** The results of its operations are read from here, in their order. */
  readonly numbers: NumberReader;
  /** The store's epoch, which only grows. */
  readonly epoch: number;
  /** Redis refused it before, or did not answer it in time: it is back. */
  readonly isBack: boolean;
}

export interface SlotOptions {
  readonly connection: Connection;
  /** Shared with the other slots of the hash tag, since their batches have most of their text in common. */
  readonly writer: BatchWriter;
  /** The number of its first batch, far from those of other slots, so that a reply to one is never taken for a reply to another. */
  readonly firstNumber: number;
  readonly timeoutMs: number;
  readonly serverClock: ServerClock;
  /** How long Redis recognises a batch, ms; one without an answer is given up after half of that. */
  readonly recordMs: number;
  /** For tests only: the script's time. */
  readonly clock: (() => number) | undefined;
  /** The batch is answered, and the slot is free. */
  readonly onAnswer: (answered: Answered) => void;
  /** Redis refused the batch, first sent at `sentAt`, or did not answer it in time. It is resent. */
  readonly onTrouble: (batch: Batch, sentAt: number, cause: unknown) => void;
  /** The batch is given up and the slot is free. Its operations may or may not have been done. */
  readonly onDrop: (batch: Batch, cause: unknown) => void;
  /** A batch that was given up is answered after all, at most once: an earlier copy of it ran when the connection was back. */
  readonly onDroppedAnswer: (batch: Batch, numbers: NumberReader) => void;
}

interface Flight {
  readonly batch: Batch;
  readonly sentAt: number;
  sentLastAt: number;
  isFull: boolean;
  hadTrouble: boolean;
  retries: number;
  /** Runs while it waits for its next retry. */
  pause: NodeJS.Timeout | undefined;
  isAnswered: boolean;
  isDropped: boolean;
}

/** The reply to this many operations is handled after whatever else has arrived with it. */
const MANY = 16;
/** Nonces count up from a random one: to draw each would cost a batch of one operation too much. */
const MOST_NONCES = 2 ** 31 - 1;
/** Instants of the server's clock are sent this coarsely: a number that is the same as in the batch before is cheaper to write. */
const EXACT_MS = 100;
const RECONNECT_MS = 1_000;
const RETRY_MS = { first: 25, most: 1_000 };

export function createSlot(options: SlotOptions): Slot {
  const { connection, writer, timeoutMs, serverClock, recordMs, clock } = options;
  const giveUpMs = recordMs / 2;
  /** Shorter than a record's life, since these instants are computed some time before the server's clock judges them. */
  const surelyKnownMs = recordMs - recordMs / 12;
  /** The slot's name in Redis, under which its batches are numbered: so one that comes late or twice is recognised. */
  let process = randomName();
  const { firstNumber } = options;
  let seq = firstNumber;
  let nonce = randomInt(MOST_NONCES);
  let ackedAt = 0;
  let servedAt = 0;
  let last: Pick<Answer, 'epoch' | 'server' | 'time'> = { epoch: 0, server: 0, time: 0 };
  let flight: Flight | undefined;
  let cause: unknown;
  let reconnectAt = 0;
  let watchdog: NodeJS.Timeout | undefined;

  function launch(portions: readonly Portion[], checkServer: boolean, now: number): void {
    const time = serverClock.now(now);
    nonce = (nonce % MOST_NONCES) + 1;
    const head: BatchHead = {
      seq,
      nonce,
      epochSeen: last.epoch,
      serverSeen: last.server,
      knownUntil: seq === firstNumber ? 0 : roundDown(last.time + surelyKnownMs),
      runUntil: time === undefined ? 0 : roundDown(time + surelyKnownMs),
      checkServer,
      clock: clock?.() ?? false,
    };
    seq += 1;
    const batch = writer.write(head, process, portions);
    flight = {
      batch,
      sentAt: now,
      sentLastAt: now,
      isFull: false,
      hadTrouble: false,
      retries: 0,
      pause: undefined,
      isAnswered: false,
      isDropped: false,
    };
    reconnectAt = now + RECONNECT_MS;
    watch(timeoutMs);
    send(flight);
  }

  function send(sent: Flight): void {
    const { batch, isFull } = sent;
    connection.run(batch, { isFull }).then(
      (reply) => {
        sent.isAnswered = true;
        if (sent.isDropped) return landDropped(sent, reply);
        // Whatever else has arrived with the reply is read first: it goes out with the next batch, before this one's callers continue.
        if (batch.size >= MANY) setImmediate(() => sent === flight && land(sent, reply));
        else if (sent === flight) land(sent, reply);
      },
      (error) => sent === flight && refused(sent, error),
    );
  }

  function land(landed: Flight, reply: Buffer): void {
    const { batch, hadTrouble } = landed;
    const answer = readAnswer(batch, reply);
    if (answer === undefined) {
      // The reply to something else: replies and requests on this socket are out of step.
      landed.isAnswered = false;
      watch(timeoutMs);
      connection.reconnect();
      retry(landed);
      return;
    }
    last = answer;
    flight = undefined;
    ackedAt = performance.now();
    serverClock.heard(answer.time, ackedAt);
    servedAt = landed.sentLastAt;
    const { numbers, epoch } = answer;
    options.onAnswer({ batch, numbers, epoch, isBack: hadTrouble });
  }

  /** The first answer counts, and only while Redis recognises the batch. */
  function landDropped(dropped: Flight, reply: Buffer): void {
    const { batch, sentAt } = dropped;
    const answer = readAnswer(batch, reply);
    if (answer === undefined || performance.now() - sentAt >= recordMs) return;
    dropped.isDropped = false;
    options.onDroppedAnswer(batch, answer.numbers);
  }

  /** Redis answered with an error: this copy of the batch was not run. */
  function refused(sent: Flight, error: unknown): void {
    const refusal = classifyRefusal(error);
    const serverTime = timeOf(error);
    if (serverTime !== undefined) serverClock.heard(serverTime);
    if (refusal === 'full' && !sent.isFull) {
      sent.isFull = true;
      send(sent);
    } else if (refusal === 'broken') drop(sent, error);
    else {
      trouble(sent, error);
      retry(sent);
    }
  }

  function trouble(troubled: Flight, reason: unknown): void {
    troubled.hadTrouble = true;
    cause = reason;
    options.onTrouble(troubled.batch, troubled.sentAt, reason);
  }

  /** Resends the same batch after a back-off: an earlier copy may have been run all the same. */
  function retry(waiting: Flight): void {
    if (performance.now() - waiting.sentAt > giveUpMs) {
      drop(waiting, cause);
      return;
    }
    if (waiting.pause !== undefined) return;
    const pause = Math.min(RETRY_MS.first * 2 ** waiting.retries, RETRY_MS.most);
    waiting.retries += 1;
    waiting.pause = setTimeout(() => sendAgain(waiting), pause).unref();
  }

  function sendAgain(waiting: Flight): void {
    clearTimeout(waiting.pause);
    waiting.pause = undefined;
    if (waiting !== flight) return;
    waiting.sentLastAt = performance.now();
    send(waiting);
  }

  /** One timer for all batches: when it fires, it looks at the batch then in flight. */
  function watch(ms: number): void {
    watchdog ??= setTimeout(() => {
      watchdog = undefined;
      // One more turn of the event loop: a reply may have arrived in the socket while this process was busy.
      setImmediate(look);
    }, ms).unref();
  }

  function look(): void {
    const looked = flight;
    if (looked === undefined || looked.isAnswered) return;
    const now = performance.now();
    const age = now - looked.sentAt;
    if (age >= timeoutMs) trouble(looked, timeoutError());
    if (age > giveUpMs) drop(looked, cause);
    else if (now >= reconnectAt) {
      reconnectAt = now + Math.min(age, 10_000);
      if (connection.reconnectSilent() === 'some') send(looked);
    }
    if (flight !== undefined) watch(age < timeoutMs ? timeoutMs - age : timeoutMs);
  }

  function timeoutError(): Error {
    const cause = connection.trouble();
    const options = cause === undefined ? undefined : { cause };
    return new Error(`Redis did not answer within ${timeoutMs} ms.`, options);
  }

  /** Gives a batch up for good. Under a new name, its late copies do no harm to later batches. */
  function drop(dropped: Flight, reason: unknown): void {
    flight = undefined;
    dropped.isDropped = true;
    process = randomName();
    seq = firstNumber;
    options.onDrop(dropped.batch, reason);
  }

  return {
    batch: () => flight?.batch,
    ackedAt: () => ackedAt,
    servedAt: () => servedAt,
    isInTrouble: () => flight?.hadTrouble === true,
    launch,
    retryNow() {
      if (flight?.pause !== undefined) sendAgain(flight);
    },
    close() {
      clearTimeout(watchdog);
      clearTimeout(flight?.pause);
      flight = undefined;
    },
  };
}

/** The head of a reply. */
interface Answer {
  readonly epoch: number;
  readonly server: number;
  /** The server's time when it ran the batch. */
  readonly time: number;
  /** Positioned at the results. */
  readonly numbers: NumberReader;
}

/** Undefined for a reply that is not to this batch. */
function readAnswer({ seq }: Batch, reply: unknown): Answer | undefined {
  if (!Buffer.isBuffer(reply)) return undefined;
  const numbers = new NumberReader(reply, startOfList(reply));
  try {
    if (numbers.next() !== seq) return undefined;
    return { epoch: numbers.next(), server: numbers.next(), time: numbers.next(), numbers };
  } catch {
    return undefined;
  }
}

/** The server's time, as told in the error for a batch that came too late. */
function timeOf(error: unknown): number | undefined {
  const time = /^LATEBATCH it is (\d+):/.exec(messageOf(error))?.[1];
  return time === undefined ? undefined : Number(time);
}

function roundDown(instant: number): number {
  return Math.floor(instant / EXACT_MS) * EXACT_MS;
}

function randomName(): string {
  return randomBytes(6).toString('base64url');
}
