import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { BatchWriter } from './batch.ts';
import { createServerClock } from './server-clock.ts';
import { createSlot, type SlotOptions } from './slot.ts';

const TIMEOUT_MS = 100;
const RECORD_MS = 120_000;

beforeEach(() => {
  vi.useFakeTimers({ toFake: ['setTimeout', 'clearTimeout', 'setImmediate', 'performance', 'Date'] });
});
afterEach(() => {
  vi.useRealTimers();
});

/** The reply to a batch of a slot, the first by default, in an epoch: its number, the epoch, the server, the time. */
const reply = (epoch: number, seq = 1) => Buffer.from([0x94, seq, epoch, 0, 0]);

interface Copy {
  readonly sentAt: number;
  answer(reply: Buffer): void;
  refuse(message: string): void;
}

/** A slot whose batches go nowhere: each copy is answered or refused by hand. */
function scene() {
  const copies: Copy[] = [];
  const told: string[] = [];
  const troubledAt: number[] = [];
  const serverClock = createServerClock();
  const options: SlotOptions = {
    connection: {
      run: () =>
        new Promise((answer, refuse) =>
          copies.push({
            sentAt: performance.now(),
            answer,
            refuse: (message) => refuse(new Error(message)),
          }),
        ),
      reconnect: () => told.push('reconnect'),
      reconnectSilent: () => 'some',
      trouble: () => undefined,
      info: async () => '',
      close: () => {},
    },
    writer: new BatchWriter({
      tag: { record: () => 'record', epoch: 'epoch' },
      recordMs: RECORD_MS,
      lapsedKeepMs: 0,
    }),
    firstNumber: 1,
    timeoutMs: TIMEOUT_MS,
    serverClock,
    recordMs: RECORD_MS,
    clock: undefined,
    onAnswer: ({ epoch }) => told.push(`answer ${epoch}`),
    onTrouble: () => troubledAt.push(performance.now()),
    onDrop: () => told.push('drop'),
    onDroppedAnswer: () => told.push('late answer'),
  };
  const slot = createSlot(options);
  slot.launch([], false, performance.now());
  return { slot, copies, told, troubledAt, serverClock };
}

it('a batch that was given up and is answered twice is heard once (F13, Q3)', async () => {
  const { copies, told } = scene();
  await vi.advanceTimersByTimeAsync(RECORD_MS / 2 + 11_000);
  expect(told).toEqual(['drop']);
  expect(copies.length).toBeGreaterThan(1);
  for (const copy of copies) copy.answer(reply(7));
  await vi.advanceTimersByTimeAsync(0);
  expect(told).toEqual(['drop', 'late answer']);
});

it('nor is it heard once Redis would not recognise it (F13, Q3)', async () => {
  const { copies, told } = scene();
  await vi.advanceTimersByTimeAsync(RECORD_MS);
  copies[0]?.answer(reply(7));
  await vi.advanceTimersByTimeAsync(0);
  expect(told).toEqual(['drop']);
});

it('a batch that was refused is told again, and Redis served after that', async () => {
  const { slot, copies, told } = scene();
  copies[0]?.refuse('LOADING Redis is loading the dataset in memory');
  await vi.advanceTimersByTimeAsync(TIMEOUT_MS / 2);
  expect(copies).toHaveLength(2);
  copies[1]?.answer(reply(7));
  await vi.advanceTimersByTimeAsync(0);
  expect(told).toEqual(['answer 7']);
  expect(slot.servedAt()).toBe(copies[1]?.sentAt);
  expect(slot.batch()).toBeUndefined();
});

it('what comes too late is given up, and the time it was refused at is heard', async () => {
  const { copies, told, serverClock } = scene();
  copies[0]?.refuse('LATEBATCH it is 1700000000123: an earlier copy might not be recognised');
  await vi.advanceTimersByTimeAsync(0);
  expect(told).toEqual(['drop']);
  expect(serverClock.now()).toBe(1_700_000_000_123);
});

it('a batch whose reply was that to another one is looked after further (F11)', async () => {
  const { copies, told } = scene();
  const [another, epoch] = [2, 7];
  copies[0]?.answer(Buffer.from([0x94, another, epoch, 0, 0]));
  await vi.advanceTimersByTimeAsync(RECORD_MS / 2 + 11_000);
  expect(told).toEqual(['reconnect', 'drop']);
});

it('a batch is in trouble when its own time is up, whatever was looked after before it (F11)', async () => {
  const { slot, copies, troubledAt } = scene();
  await vi.advanceTimersByTimeAsync(TIMEOUT_MS / 5);
  copies[0]?.answer(reply(7));
  await vi.advanceTimersByTimeAsync(0);
  slot.launch([], false, performance.now());
  const sentAt = copies[1]?.sentAt ?? 0;
  await vi.advanceTimersByTimeAsync(1.5 * TIMEOUT_MS);
  expect(troubledAt).toHaveLength(1);
  expect((troubledAt[0] ?? 0) - sentAt).toBeLessThan(1.1 * TIMEOUT_MS);
});

it('a batch of which several copies were refused is told again once (F18)', async () => {
  const { copies } = scene();
  await vi.advanceTimersByTimeAsync(3_500);
  const before = copies.length;
  expect(before).toBeGreaterThan(2);
  for (const copy of [...copies]) copy.refuse('CLUSTERDOWN The cluster is down');
  await vi.advanceTimersByTimeAsync(TIMEOUT_MS);
  expect(copies.length - before).toBe(1);
});

it('a batch that is refused again and again is told about once a second, no less and no more (F17)', async () => {
  const { copies } = scene();
  let refused = 0;
  for (let passed = 0; passed < 30_000; passed += 20) {
    for (const copy of copies.slice(refused)) copy.refuse('LOADING Redis is loading the dataset in memory');
    refused = copies.length;
    await vi.advanceTimersByTimeAsync(20);
  }
  expect(copies.length).toBeGreaterThan(25);
  expect(copies.length).toBeLessThan(50);
});
