import type { OrgKeys, TagKeys } from './keys.ts';
import type { Operation } from './operation.ts';
import { shapeTable } from './shape-table.ts';

/** An operation with its caller. */
export interface Asked {
  readonly operation: Operation<unknown>;
  readonly resolve: (answer: unknown) => void;
  readonly reject: (error: unknown) => void;
  /** Its caller has been told that the store is away. */
  isAbandoned: boolean;
}

/** Operations on their way, ready to be sent any number of times under one number. */
export interface Batch {
  readonly seq: number;
  readonly asked: readonly Asked[];
  readonly keys: readonly string[];
  /** @param isFull - refuse reserves: Redis is over its `maxmemory` */
  toText(isFull: boolean): string;
}

export interface BatchHead {
  readonly seq: number;
  /** A random number nobody else uses. */
  readonly nonce: number;
  /** The record of the batch before this one must still be there: else the store lost it. */
  readonly mustBeKnown: boolean;
  readonly recordMs: number;
  readonly checkServer: boolean;
  /** What the script takes for the time, epoch ms; false is the server's own. For tests alone. */
  readonly clock: number | false;
  readonly lapsedKeepMs: number;
}

/** Writes a batch: operations of one org stand together, in the order they were asked. */
export function writeBatch(
  head: BatchHead,
  tag: TagKeys,
  process: string,
  orgs: ReadonlyMap<string, readonly Asked[]>,
  keysOf: (org: string) => OrgKeys,
): Batch {
  const keys = [tag.record(process), tag.epoch];
  const shapes = shapeTable();
  const asked: Asked[] = [];
  const rest: unknown[] = [];
  for (const [org, list] of orgs) {
    const spelled = keysOf(org);
    const windows = windowsOf(list);
    keys.push(spelled.leases);
    rest.push(windows.length);
    for (const window of windows) {
      keys.push(spelled.counters(window));
      rest.push(window);
    }
    rest.push(list.length);
    for (const one of list) {
      for (const value of one.operation.write(shapes)) rest.push(value);
      asked.push(one);
    }
  }
  const { seq, nonce, mustBeKnown, recordMs, checkServer, clock, lapsedKeepMs } = head;
  const start = `${seq},${nonce},${mustBeKnown},${recordMs},${checkServer},${clock}`;
  const end = `${lapsedKeepMs},${shapes.toText()},${orgs.size}`;
  const tail = rest.length === 0 ? ']' : `,${JSON.stringify(rest).slice(1)}`;
  return { seq, asked, keys, toText: (isFull) => `[${start},${isFull},${end}${tail}` };
}

function windowsOf(list: readonly Asked[]): readonly string[] {
  const first = list[0]?.operation.windows ?? [];
  if (list.every(({ operation }) => operation.windows === first)) return first;
  return [...new Set(list.flatMap(({ operation }) => operation.windows))];
}
