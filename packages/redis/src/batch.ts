import type { TagKeys } from './keys.ts';
import type { Operation } from './operation.ts';
import type { Portion } from './queue.ts';
import type { Shape, Terms } from './shapes.ts';

/** A batch of operations as it is sent, any number of times under one sequence number. */
export class Batch {
  readonly seq: number;
  readonly portions: readonly Portion[];
  /** How many operations it has. */
  readonly size: number;
  /** The number of keys, the keys, and the script's first argument: the operations. */
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
   * The arguments of the command: what to run, the number of keys, the keys, the script's arguments.
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
  /** Random enough that no other batch has it. */
  readonly nonce: number;
  /** The epoch in which the batch before this one was acknowledged; 0 for the first. */
  readonly epochSeen: number;
  /** The server that acknowledged it, by its number in the reply; 0 for the first. */
  readonly serverSeen: number;
  /** Until when, on the server's clock, a missing record of the batch before means that the store lost it; 0 if there was none. */
  readonly knownUntil: number;
  /** Until when, on the server's clock, a copy of this batch may run: later, an earlier copy might not be recognised. 0 is no limit. */
  readonly runUntil: number;
  readonly checkServer: boolean;
  /** The script's time in tests, epoch ms; false for the server's own. */
  readonly clock: number | false;
}

export interface BatchWriterOptions {
  readonly tag: TagKeys;
  /** How long Redis recognises a batch, ms. */
  readonly recordMs: number;
  readonly lapsedKeepMs: number;
}

/** How many shapes, and how many lists of windows, are kept from batch to batch. */
const MOST_KEPT = 16;

/**
 * Writes batches. What their operations share is sent once, in an argument of its own, and referred to by number. Most batches share
 * the same as the one before, so this process need not write that argument again, nor Redis parse it.
 */
export class BatchWriter {
  readonly #options: BatchWriterOptions;
  #shapes: Shape[] = [];
  #windowLists: (readonly string[])[] = [];
  /** The usual terms of the current batch, once one of its reserves has asked. */
  #usual: Terms | null = null;
  /** The shared argument of the last batch; empty if it has to be written anew. */
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

  /** Whether these are the terms that reserves of this batch need not repeat: the first that are asked about. */
  isUsual(terms: Terms): boolean {
    this.#usual ??= terms;
    return this.#usual === terms;
  }

  /** Writes a batch: the operations of one org together, in the order in which they were asked. */
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
