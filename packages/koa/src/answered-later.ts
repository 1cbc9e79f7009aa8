import type { Socket } from 'node:net';
import { finished } from 'node:stream';
import type { Ending } from '@tollgate/core';
import type { Context } from 'koa';

/** Whether a handler that answers by itself (`ctx.respond = false`) has returned before it did. */
export function isAnsweredLater({ respond, res }: Context): boolean {
  return respond === false && !res.headersSent;
}

/** Tells how such an answer ended: such a handler may still be at work until then. */
export function onAnswer({ res }: Context, listener: (ending: Ending) => void): void {
  finished(res, () => listener(res.writableEnded ? judge(res.statusCode) : 'unseen'));
}

/** What may be the answer of somebody else while the handler still runs: of a time-out, or of Koa where nobody waited for the handler. */
const MAYBE_ANOTHERS: ReadonlySet<number> = new Set([404, 408, 499, 503, 504]);

/**
 * Tells how an answer ended that a handler made past Koa, since such a handler may never return: middleware of Express that was wrapped
 * for Koa does not. An answer made through Koa tells nothing, as it may be a time-out's, nor one that was over before the handler began. Where
 * the client goes away before the answer has begun, its end is waited for. `unseen` is a handler that may never end then: one that said
 * that it answers by itself, and one that had not read the whole body, since most parsers wait for the rest for ever.
 *
 * @returns to be called when the handler has returned: nothing is told after that
 */
export function onOwnAnswer(ctx: Context, listener: (ending: Ending) => void): () => void {
  const { res } = ctx;
  const wasEnded = res.writableEnded;
  let hasReturned = false;
  function closed(): void {
    if (hasReturned) return;
    if (res.headersSent && isOwn(ctx)) {
      listener(res.writableEnded && !wasEnded ? ownEnding(res) : 'unseen');
      return;
    }
    if (isBodyCut(ctx)) listener('unseen');
    onRespondFalse(ctx, () => listener('unseen'));
    if (res.headersSent) return;
    const { end } = res;
    res.end = function (this: typeof res, ...args: Parameters<typeof end>) {
      if (isOwn(ctx)) listener(ownEnding(res));
      return end.apply(this, args);
    } as typeof end;
  }
  // It was told already where the client went away while the guard was deciding.
  if (isClosed(ctx)) closed();
  else onClose(ctx, closed);
  return () => {
    hasReturned = true;
  };
}

/** Whether the answer was not made through Koa: where it is not to answer, a success is the handler's, and a failure may be an error's. */
function isOwn(ctx: Context): boolean {
  return !isStatusSet(ctx) || (ctx.respond === false && ctx.res.statusCode < 400);
}

/** Tells when a handler says that it answers by itself: before its client went away, or after it, since what stands before it may take its time. */
function onRespondFalse(ctx: Context, tell: () => void): void {
  const before = Object.getOwnPropertyDescriptor(ctx, 'respond');
  let respond = ctx.respond;
  // A host's own that cannot be replaced is not watched: this may be called by the close of a socket, where a throw ends the process.
  Reflect.defineProperty(ctx, 'respond', {
    configurable: true,
    enumerable: true,
    get: () => respond,
    set(value) {
      respond = value;
      before?.set?.call(ctx, value);
      if (value === false) tell();
    },
  });
  if (respond === false) tell();
}

/** Whether the handler may wait for a body for ever: what had come of it is lost with the connection, and the rest may never come. */
function isBodyCut({ req: { headers, readableEnded, complete, socket } }: Context): boolean {
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  const canBeRead = readableEnded || (complete && socket?.destroyed === false);
  return hasBody && !canBeRead;
}

/** HTTP/2's response itself does not tell, nor one that waits behind another answer of its connection. */
function isClosed({ req, res }: Context): boolean {
  const { stream } = res as { readonly stream?: { readonly destroyed: boolean } };
  return (
    res.destroyed || stream?.destroyed === true || (res.socket === null && req.socket?.destroyed === true)
  );
}

/** Node closes no response that never had the socket. One listener serves all of a connection: a client may send many requests ahead. */
const waiting = new WeakMap<Socket, Set<() => void>>();

function onClose({ req: { socket }, res }: Context, closed: () => void): void {
  if (res.socket !== null || typeof socket?.on !== 'function') {
    res.on('close', closed);
    return;
  }
  const listeners = listenersOn(socket);
  const told = () => {
    res.off('close', told);
    listeners.delete(told);
    closed();
  };
  res.on('close', told);
  listeners.add(told);
}

function listenersOn(socket: Socket): Set<() => void> {
  const known = waiting.get(socket);
  if (known !== undefined) return known;
  const listeners = new Set<() => void>();
  waiting.set(socket, listeners);
  socket.on('close', () => {
    for (const tell of listeners) tell();
  });
  return listeners;
}

function ownEnding({ statusCode: status }: Context['res']): Ending {
  return MAYBE_ANOTHERS.has(status) ? 'unseen' : { status };
}

/** Whether somebody set the status through Koa, which tells of it in no other way. */
export function isStatusSet({ response }: Context): boolean {
  return (response as { _explicitStatus?: unknown })._explicitStatus === true;
}

/** What is answered in the stead of a handler that may still create, and which can set no other status then: by a time-out, and by who saw its client go. */
const ANSWERED_FOR_IT: ReadonlySet<number> = new Set([408, 499]);

export function judge(status: number): Ending {
  return ANSWERED_FOR_IT.has(status) ? 'failed' : { status };
}
