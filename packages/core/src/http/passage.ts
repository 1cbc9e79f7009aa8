import type { IncomingMessage } from 'node:http';
import type { Engine } from './engine.ts';
import { rawPath } from './raw-path.ts';

/** What a request carries once it passed a billing router: guards further down find their engine here. */
export interface Passage {
  readonly engine: Engine;
  /** The path the billing routes are mounted under, as the client spelled it; empty at the root. */
  readonly basePath: string;
}

const PASSAGE = Symbol.for('@tollgate/passage');

type Passing = IncomingMessage & { [PASSAGE]?: Passage };

/**
 * Marks the request. Of several routers the one counts whose path it is under, the longest of such paths; among equals the last one passed.
 *
 * @param target - the whole request target, before any router took its part off.
 */
export function attachPassage(
  message: IncomingMessage,
  passage: Passage,
  target: string = message.url ?? '',
): void {
  const passing = message as Passing;
  const earlier = passing[PASSAGE];
  if (earlier !== undefined) {
    const path = rawPath(target);
    if (shareOf(path, earlier) > shareOf(path, passage)) return;
  }
  passing[PASSAGE] = passage;
}

/** How much of a path is where the routes are; -1 when it is elsewhere. */
function shareOf(path: string, { basePath }: Passage): number {
  const isUnder = basePath === '' || path === basePath || path.startsWith(`${basePath}/`);
  return isUnder ? basePath.length : -1;
}

/** The billing router of this request, of those it passed; undefined when none. */
export function passageOf(message: IncomingMessage): Passage | undefined {
  return (message as Passing)[PASSAGE];
}
