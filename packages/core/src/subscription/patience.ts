import { TollgateError } from '../errors/tollgate-error.ts';

/** Whether it is worth asking on, for somebody who has many things to ask. */
export interface Patience {
  readonly isOver: boolean;
  answered(): void;
  failed(error: unknown): void;
}

/** What is never said of one customer alone. A refusal is not among it: any number of customers may be refused for good. */
const AWAY: ReadonlySet<string> = new Set(['provider_timeout', 'provider_busy', 'repository_unavailable']);
/** So many in a row, without one answer: nobody is there. */
const MOST_IN_A_ROW = 12;

export function createPatience(): Patience {
  let inARow = 0;
  return {
    get isOver() {
      return inARow >= MOST_IN_A_ROW;
    },
    answered() {
      inARow = 0;
    },
    failed(error) {
      if (error instanceof TollgateError && AWAY.has(error.code)) inARow += 1;
    },
  };
}
