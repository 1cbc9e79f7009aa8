import type { BatchWriter } from './batch.ts';
import type { NumberReader } from './number-reader.ts';
import type { OrgState } from './org-states.ts';

/** One thing asked of the batch script about one org, with its caller. */
export abstract class Operation<T> {
  readonly org: OrgState;
  /** The windows whose counters it names. */
  abstract readonly windows: readonly string[];
  /** The key of what the store remembers of it, beside its org's; null when nothing is. */
  get ownKey(): string | null {
    return null;
  }
  /** Whether it may wait for company of its own org. */
  get isPatient(): boolean {
    return false;
  }
  /** Whether it is still told, and told again where its org could not be read, when its caller has heard that it failed. */
  get outlivesCaller(): boolean {
    return true;
  }
  /** Its caller has been told that the store is away. */
  isAbandoned = false;
  /** Grows from one operation that a queue was given to the next. */
  turn = 0;
  /** When it could not be done first, its org's keys being damaged or on the move; on the clock of `performance.now()`. */
  putOffAt: number | undefined;
  #resolve: (answer: unknown) => void = ignore;
  #reject: (error: unknown) => void = ignore;

  constructor(org: OrgState) {
    this.org = org;
  }

  /** The caller's promise, for operations that somebody waits for. */
  promise(): Promise<T> {
    return new Promise((resolve, reject) => {
      this.#resolve = resolve as (answer: unknown) => void;
      this.#reject = reject;
    });
  }

  /** Tells the caller what `read` answered. */
  resolve(answer: T): void {
    this.#resolve(answer);
  }

  reject(error: unknown): void {
    this.#reject(error);
  }

  /** Tells the caller, once, that the store is away. */
  refuse(error: unknown): void {
    if (this.isAbandoned) return;
    this.isAbandoned = true;
    this.reject(error);
  }

  /** Its part of the batch: JSON values, each with a comma before it. */
  abstract write(batch: BatchWriter): string;
  /** @throws TollgateError `quota_unavailable` when the script could not do it; all its numbers have then been read. */
  abstract read(numbers: NumberReader): T;
  /** Called with the answer before its caller gets it. */
  settled(_answer: T): void {}
  /** Called with an answer that came after the caller was told that the store is away. */
  settledLate(_answer: T): void {}
  /** Called after either: what undoes an answer that must not stand. */
  undo(_answer: T): Operation<unknown> | null {
    return null;
  }
}

const ignore = () => {};
