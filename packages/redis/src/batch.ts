import type { TagKeys } from './keys.ts';
import type { Operation } from './operation.ts';
import type { Portion } from './queue.ts';
import type { Shape, Terms } from './shapes.ts';

/** Operations on their way, ready to be sent any number of times under one number. */
export class Batch {
  readonly seq: number;
  readonly portions: readonly Portion[];
  /** How many operations it has. */
  readonly size: number;
  /** The number of keys, the keys, and what is asked. */
  readonly #own: readonly string[];
  readonly #shared: string;

  constructor(
    seq: number,
    portions: readonly Portion[],
    size: number,
    own: readonly string[],
    shared: string,
  ) {
    this.seq = seq;
    this.portions = portions;
    this.size = size;
    this.#own = own;
    this.#shared = shared;
  }

  /**
   * What Redis is told after the command: what to run, the number of keys, the keys, the script's arguments.
   *
   * @param isFull - refuse reserves: Redis is over its `maxmemory`
   */
  toArguments(script: string, isFull: boolean): string[] {
    return [script, ...this.#own, isFull ? this.#shared.replace(NOT_FULL, '[true') : this.#shared];
  }
}

const NOT_FULL = '[false';

export interface BatchHead {
  readonly seq: number;
  /** A number that no other batch has, by all odds. */
  readonly nonce: number;
  /** The epoch in which the batch before this one was acknowledged; 0 for the first. */
  readonly epochSeen: number;
  /** Which server acknowledged it, as the reply named it; 0 for the first. */
  readonly serverSeen: number;
  /** Until when, on the server's clock, the record of the batch before this one must be there, or the store lost it; 0 when there is none. */
  readonly knownUntil: number;
  /** Until when, on the server's clock, a copy of this batch may be run: an earlier one is recognised so long. 0 is for good. */
  readonly runUntil: number;
  readonly checkServer: boolean;
  /** What the script takes for the time, epoch ms; false is the server's own. For tests alone. */
  readonly clock: number | false;
}

export interface BatchWriterOptions {
  readonly tag: TagKeys;
  /** How long Redis recognises a batch, ms. */
  readonly recordMs: number;
  readonly lapsedKeepMs: number;
}

/** So many shapes, and lists of windows, are kept from batch to batch. */
const MOST_KEPT = 16;

/**
 * Writes batches. What their operations share is sent once and named by number, and is spelled alike in batch after batch: most are the
 * same as the one before, so that neither this process spells it anew nor Redis reads it.
 */
export class BatchWriter {
  readonly #options: BatchWriterOptions;
  #shapes: Shape[] = [];
  #windowLists: (readonly string[])[] = [];
  /** Of the batch at hand, once one of its reserves has asked. */
  #usual: Terms | null = null;
  /** Empty when it has to be spelled anew. */
  #shared = '';
  #sharedTerms: Terms | null = null;
  #sharedEpoch = 0;
  #sharedServer = 0;
  #sharedCheck = false;

  constructor(options: BatchWriterOptions) {
    this.#options = options;
  }

  /** The number of a shape: 1 for the first. */
  indexOf(shape: Shape): number {
    const index = this.#shapes.indexOf(shape);
    if (index >= 0) return index + 1;
    this.#shared = '';
    return this.#shapes.push(shape);
  }

  /** Whether these are the terms that reserves of this batch need not repeat; the first that are asked about are. */
  isUsual(terms: Terms): boolean {
    this.#usual ??= terms;
    return this.#usual === terms;
  }

  /** Writes a batch: operations of one org stand together, in the order they were asked. */
  write(head: BatchHead, process: string, portions: readonly Portion[]): Batch {
    const { tag } = this.#options;
    if (Math.max(this.#shapes.length, this.#windowLists.length) > MOST_KEPT) this.#forget();
    this.#usual = null;
    const own = ['', tag.record(process), tag.epoch];
    const ownKeys: string[] = [];
    let text = '';
    let size = 0;
    for (const { org, operations } of portions) {
      const windows = unionOf(operations);
      own.push(org.leases);
      for (const window of windows) own.push(org.counters(window));
      size += operations.length;
      text += `,${this.#windowsIndexOf(windows)},${operations.length}`;
      for (const operation of operations) {
        text += operation.write(this);
        const { ownKey } = operation;
        if (ownKey !== null) ownKeys.push(ownKey);
      }
    }
    own.push(...ownKeys);
    own[0] = String(own.length - 1);
    const { seq, nonce, clock, knownUntil, runUntil } = head;
    own.push(`[${seq},${nonce},${clock},${knownUntil},${runUntil},${portions.length}${text}]`);
    return new Batch(seq, portions, size, own, this.#sharedText(head));
  }

  #windowsIndexOf(windows: readonly string[]): number {
    const index = this.#windowLists.findIndex((list) => isSameList(list, windows));
    if (index >= 0) return index + 1;
    this.#shared = '';
    return this.#windowLists.push(windows);
  }

  #sharedText({ epochSeen, serverSeen, checkServer }: BatchHead): string {
    const terms = this.#usual ?? this.#sharedTerms;
    const isSame =
      this.#shared !== '' &&
      this.#sharedTerms === terms &&
      this.#sharedEpoch === epochSeen &&
      this.#sharedServer === serverSeen &&
      this.#sharedCheck === checkServer;
    if (isSame) return this.#shared;
    const { recordMs, lapsedKeepMs } = this.#options;
    const settings = `${epochSeen},${serverSeen},${recordMs},${checkServer},${lapsedKeepMs}`;
    const shapes = this.#shapes.map((shape) => shape.text).join();
    this.#shared = `${NOT_FULL},${settings},${terms?.text ?? false},[${shapes}],${JSON.stringify(this.#windowLists)}]`;
    this.#sharedTerms = terms;
    this.#sharedEpoch = epochSeen;
    this.#sharedServer = serverSeen;
    this.#sharedCheck = checkServer;
    return this.#shared;
  }

  #forget(): void {
    this.#shapes = [];
    this.#windowLists = [];
    this.#shared = '';
  }
}

function isSameList(one: readonly string[], other: readonly string[]): boolean {
  return one === other || (one.length === other.length && one.every((item, index) => item === other[index]));
}

function unionOf(operations: readonly Operation<unknown>[]): readonly string[] {
  const first = operations[0]?.windows ?? [];
  for (const { windows } of operations) {
    if (windows !== first) return [...new Set(operations.flatMap((operation) => operation.windows))];
  }
  return first;
}
