import type { Ending } from '@tollgate/core';
import type { Response } from 'express';

/** What a time-out middleware or a gateway answers in a handler's stead, while it may still be running. */
const ANSWERED_FOR_IT: ReadonlySet<number> = new Set([408, 503, 504]);

/**
 * Tells how a handler ended: when it ends its answer, its status; when the connection closes before that, `unseen`, and the status
 * all the same if it ends its answer later. Express shows a middleware no other end of a handler. A connection that is closed
 * already is `unseen` at once.
 */
export function onEnding(response: Response, ended: (ending: Ending) => void): void {
  const end = response.end;
  response.end = function (this: Response, ...args: Parameters<typeof end>) {
    const status = response.statusCode;
    ended(ANSWERED_FOR_IT.has(status) ? 'unseen' : { status });
    return end.apply(this, args);
  } as typeof end;
  if (response.destroyed) ended('unseen');
  else response.on('close', () => ended('unseen'));
}
