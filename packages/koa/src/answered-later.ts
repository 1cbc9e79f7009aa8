import type { Socket } from 'node:net';
import { finished } from 'node:stream';
import type { Ending } from '@tollgate/core';
import type { Context } from 'koa';

/** Whether a handler that answers by itself (`ctx.respond = false`) returned before its answer. */
export function isAnsweredLater({ respond, res }: Context): boolean {
  return respond === false && !res.headersSent;
}

/** Reports how such an answer ended: until then the handler may still be at work. */
export function onAnswer({ res }: Context, listener: (ending: Ending) => void): void {
  finished(res, () => listener(res.writableEnded ? judge(res.statusCode) : 'unseen'));
}

/** Statuses that may come from others while the handler still runs: from a time-out, or from Koa if nobody awaited the handler. */
const MAYBE_ANOTHERS: ReadonlySet<number> = new Set([404, 408, 499, 503, 504]);

/**
 * Reports how an answer ended that a handler made without Koa. Such a handler may never return: Express middleware wrapped for Koa does
 * not. Nothing is reported for an answer made through Koa, which may be a time-out's, or for one that ended before the handler began. If
 * the client disconnects before the answer has begun, the handler's end is awaited. `unseen` is reported then for a handler that may
 * never end: one that set `respond = false`, or one that had not read its whole body, since most parsers wait for the rest for ever.
 *
 * @returns a function to call when the handler has returned: nothing is reported after that
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
  // If the client disconnected while the guard was deciding, `close` has been emitted already.
  if (isClosed(ctx)) closed();
  else onClose(ctx, closed);
  return () => {
    hasReturned = true;
  };
}

/** Whether the answer was made without Koa. With `respond = false` and a status set, only a success is: a failure may be an error's. */
function isOwn(ctx: Context): boolean {
  return !isStatusSet(ctx) || (ctx.respond === false && ctx.res.statusCode < 400);
}

/** Reports `respond = false`, set before or after the client disconnected: middleware before the handler may take its time. */
function onRespondFalse(ctx: Context, tell: () => void): void {
  const before = Object.getOwnPropertyDescriptor(ctx, 'respond');
  let respond = ctx.respond;
  // A host's own property that cannot be redefined is not watched. Defining must not throw: in a socket's `close` that ends the process.
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

/** Whether the handler may wait for its body for ever: what had arrived is lost with the connection, and the rest may never come. */
function isBodyCut({ req: { headers, readableEnded, complete, socket } }: Context): boolean {
  const hasBody = headers['transfer-encoding'] !== undefined || Number(headers['content-length'] ?? 0) > 0;
  const canBeRead = readableEnded || (complete && socket?.destroyed === false);
  return hasBody && !canBeRead;
}

/** `destroyed` alone does not show it for HTTP/2, nor for a response that waits behind another one of its connection. */
function isClosed({ req, res }: Context): boolean {
  const { stream } = res as { readonly stream?: { readonly destroyed: boolean } };
  return (
    res.destroyed || stream?.destroyed === true || (res.socket === null && req.socket?.destroyed === true)
  );
}

/** Node emits no `close` on a response that never had the socket. One listener serves a whole connection: clients may pipeline requests. */
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

/** Whether the status was set through Koa, which shows it in no other way. */
export function isStatusSet({ response }: Context): boolean {
  return (response as { _explicitStatus?: unknown })._explicitStatus === true;
}

/** Statuses given in place of a handler, by a time-out or because the client disconnected: it may still create, but set no status. */
const ANSWERED_FOR_IT: ReadonlySet<number> = new Set([408, 499]);

export function judge(status: number): Ending {
  return ANSWERED_FOR_IT.has(status) ? 'failed' : { status };
}
