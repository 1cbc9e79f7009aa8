import type { NumberReader } from './number-reader.ts';
import type { ShapeTable } from './shape-table.ts';

/** One thing asked of the batch script about one org. */
export interface Operation<T> {
  readonly org: string;
  /** The windows whose counters it names. */
  readonly windows: readonly string[];
  /** Whether it may wait a few milliseconds for company. */
  readonly isPatient: boolean;
  /** Whether it is still sent when its caller has been told that the store is away. */
  readonly outlivesCaller: boolean;
  /** Its part of the batch, as JSON values. */
  write(shapes: ShapeTable): readonly unknown[];
  /** @throws TollgateError `quota_unavailable` when the script could not do it; all its numbers have then been read. */
  read(numbers: NumberReader): T;
  /** Called with the answer before its caller gets it. */
  settled?(answer: T): void;
  /** What undoes an answer that came after the caller was told that the store is away. */
  undo?(answer: T): Operation<unknown> | undefined;
}
