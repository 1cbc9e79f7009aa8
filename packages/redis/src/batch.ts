import type { TagKeys } from './keys.ts';
import type { Operation } from './operation.ts';
import type { Portion } from './queue.ts';
import type { Shape, Terms } from './shapes.ts';

/** Operations on their way, ready to be sent any number of times under one number. */
export interface Batch {
  readonly seq: number;
  readonly portions: readonly Portion[];
  /** How many operations it has. */
  readonly size: number;
  readonly keys: readonly string[];
  /**
   * The script's arguments: the operations, and what they share. That is mostly the same as in the batch before, and is then not read again.
   *
   * @param isFull - refuse reserves: Redis is over its `maxmemory`
   */
  toArguments(isFull: boolean): readonly [string, string];
}

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
  readonly recordMs: number;
  readonly checkServer: boolean;
  /** What the script takes for the time, epoch ms; false is the server's own. For tests alone. */
  readonly clock: number | false;
  readonly lapsedKeepMs: number;
}

/** What operations share while a batch is written: each shape is sent once, operations name it by number. */
export interface BatchWriter {
  /** 1 for the first. */
  indexOf(shape: Shape): number;
  /** Whether these are the terms that reserves of this batch need not repeat; the first that are asked about are. */
  isUsual(terms: Terms): boolean;
}

/** Writes a batch: operations of one org stand together, in the order they were asked. */
export function writeBatch(
  head: BatchHead,
  tag: TagKeys,
  process: string,
  portions: readonly Portion[],
): Batch {
  const keys = [tag.record(process), tag.epoch];
  const shapes = numbering<Shape>();
  const windowLists = numbering<readonly string[]>();
  let usual: Terms | null = null;
  const writer: BatchWriter = {
    indexOf: shapes.indexOf,
    isUsual(terms) {
      usual ??= terms;
      return usual === terms;
    },
  };
  const ownKeys: string[] = [];
  let text = '';
  let size = 0;
  for (const { org, operations } of portions) {
    const windows = unionOf(operations);
    keys.push(org.leases);
    for (const window of windows) keys.push(org.counters(window));
    size += operations.length;
    text += `,${windowLists.indexOf(windows)},${operations.length}`;
    for (const operation of operations) {
      text += operation.write(writer);
      if (operation.ownKey !== null) ownKeys.push(operation.ownKey);
    }
  }
  keys.push(...ownKeys);
  const { seq, nonce, epochSeen, serverSeen, knownUntil, runUntil, recordMs, checkServer } = head;
  const { clock, lapsedKeepMs } = head;
  const terms = (usual as Terms | null)?.text ?? false;
  const settings = `${epochSeen},${serverSeen},${recordMs},${checkServer},${lapsedKeepMs}`;
  const lists = `[${shapes.list.map((shape) => shape.text).join()}],${JSON.stringify(windowLists.list)}`;
  const asked = `[${seq},${nonce},${clock},${knownUntil},${runUntil},${portions.length}${text}]`;
  return {
    seq,
    portions,
    size,
    keys,
    toArguments: (isFull) => [asked, `[${isFull},${settings},${terms},${lists}]`],
  };
}

/** Numbers things from 1, in the order they are first met. Batches know few: a list is looked through faster than a map. */
function numbering<T>() {
  const list: T[] = [];
  return {
    list: list as readonly T[],
    indexOf(item: T): number {
      const index = list.indexOf(item);
      return index < 0 ? list.push(item) : index + 1;
    },
  };
}

function unionOf(operations: readonly Operation<unknown>[]): readonly string[] {
  const first = operations[0]?.windows ?? [];
  for (const { windows } of operations) {
    if (windows !== first) return [...new Set(operations.flatMap((operation) => operation.windows))];
  }
  return first;
}
