import type { IncomingMessage } from 'node:http';
import type { Engine } from './engine.ts';

/** What a request carries once it passed a billing router: guards further down find their engine here. */
export interface Passage {
  readonly engine: Engine;
  /** The path the billing routes are mounted under, as the client spelled it; empty at the root. */
  readonly basePath: string;
}

const PASSAGE = Symbol.for('@tollgate/passage');

type Passing = IncomingMessage & { [PASSAGE]?: Passage };

/** Marks the request; of several routers the last one passed counts. */
export function attachPassage(message: IncomingMessage, passage: Passage): void {
  (message as Passing)[PASSAGE] = passage;
}

/** The billing router this request passed last; undefined when none. */
export function passageOf(message: IncomingMessage): Passage | undefined {
  return (message as Passing)[PASSAGE];
}
