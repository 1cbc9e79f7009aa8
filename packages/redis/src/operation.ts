import type { BatchWriter } from './batch.ts';
import type { NumberReader } from './number-reader.ts';
import type { OrgState } from './org-states.ts';

/** One request to the batch script about one org, with its caller. */
export abstract class Operation<T> {
  readonly org: OrgState;
  /** The windows of the counters that it names. */
  abstract readonly windows: readonly string[];
  /** The key, beside its org's, under which the store remembers this operation; null if there is none. */
  get ownKey(): string | null {
    return null;
  }
  /** Whether it may wait to be sent together with another operation of its org. */
  get isPatient(): boolean {
    return false;
  }
  /** Whether it is still sent, and retried if its org could not be read, after its caller was told that it failed. */
  get outlivesCaller(): boolean {
    return true;
  }
  /** Its caller has been told that it failed. */
  isAbandoned = false;
  /** Its place in the order in which the queue was given operations. */
  turn = 0;
  /** When it was first found that its org's keys are damaged or being moved, on the clock of `performance.now()`. */
  unreadableSince: number | undefined;
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

  /** Gives the caller the result of `read`. */
  resolve(answer: T): void {
    this.#resolve(answer);
  }

  reject(error: unknown): void {
    this.#reject(error);
  }

  /** Rejects, unless the caller was told before that it failed. */
  refuse(error: unknown): void {
    if (this.isAbandoned) return;
    this.isAbandoned = true;
    this.reject(error);
  }

  /** Its part of the batch: JSON values, each with a comma before it. */
  abstract write(batch: BatchWriter): string;
  /** @throws TollgateError `quota_unavailable` when the script could not do it; all its numbers have been read then */
  abstract read(numbers: NumberReader): T;
  /** Called with the answer before its caller gets it. */
  settled(_answer: T): void {}
  /** Called with an answer that came after the caller was told that it failed. */
  settledLate(_answer: T): void {}
  /** Called after either. Returns the operation that undoes an answer which must not stand. */
  undo(_answer: T): Operation<unknown> | null {
    return null;
  }
}

const ignore = () => {};
