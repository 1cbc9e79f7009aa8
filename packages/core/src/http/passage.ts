import type { IncomingMessage } from 'node:http';
import type { Engine } from './engine.ts';
import { rawPath } from './raw-path.ts';

/** What a request carries after it passed a billing router: guards behind it find their engine here. */
export interface Passage {
  readonly engine: Engine;
  /** The path the billing routes are mounted under, as the client sent it; empty at the root. */
  readonly basePath: string;
}

const PASSAGE = Symbol.for('@tollgate/passage');

type Passing = IncomingMessage & { [PASSAGE]?: Passage };

/**
 * Marks the request. If it passes several routers, the one with the longest path that the request is under counts; among equals, the last.
 *
 * @param path - the request's current path, which the host may have rewritten, including the prefixes that routers removed.
 */
export function attachPassage(
  message: IncomingMessage,
  passage: Passage,
  path: string = rawPath(message.url ?? ''),
): void {
  const passing = message as Passing;
  const earlier = passing[PASSAGE];
  if (earlier !== undefined && matchLength(path, earlier) > matchLength(path, passage)) return;
  passing[PASSAGE] = passage;
}

/** The length of the base path if the path is under it, else -1. Case is ignored, so that a client cannot choose an engine by it. */
function matchLength(path: string, { basePath }: Passage): number {
  const [whole, base] = [path.toLowerCase(), basePath.toLowerCase()];
  const isUnder = whole === base || whole.startsWith(`${base}/`);
  return isUnder ? base.length : -1;
}

/** The billing router of this request, among those it passed; undefined if there is none. */
export function passageOf(message: IncomingMessage): Passage | undefined {
  return (message as Passing)[PASSAGE];
}
