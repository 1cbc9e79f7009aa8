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
 * @param path - where the request is by now, which a host may have rewritten, with what routers took off.
 */
export function attachPassage(
  message: IncomingMessage,
  passage: Passage,
  path: string = rawPath(message.url ?? ''),
): void {
  const passing = message as Passing;
  const earlier = passing[PASSAGE];
  if (earlier !== undefined && shareOf(path, earlier) > shareOf(path, passage)) return;
  passing[PASSAGE] = passage;
}

/** How much of a path is where the routes are; -1 when it is elsewhere. Routes of the host mostly take either case, so no client chooses by it. */
function shareOf(path: string, { basePath }: Passage): number {
  const [whole, base] = [path.toLowerCase(), basePath.toLowerCase()];
  const isUnder = base === '' || whole === base || whole.startsWith(`${base}/`);
  return isUnder ? base.length : -1;
}

/** The billing router of this request, of those it passed; undefined when none. */
export function passageOf(message: IncomingMessage): Passage | undefined {
  return (message as Passing)[PASSAGE];
}
