import { type Channel, channel } from 'node:diagnostics_channel';
import type { ServerResponse } from 'node:http';
import type { Ending } from '@tollgate/core';
import type { Response } from 'express';

type Listener = (ending: Ending) => void;

/** What a time-out middleware or a gateway answers in a handler's stead, while it may still be running. */
const ANSWERED_FOR_IT: ReadonlySet<number> = new Set([408, 499, 503, 504]);

/** A connection of Node's own HTTP server. */
interface Connection {
  /** The response to the last request that came; null once it is finished. */
  newest: ServerResponse | null;
  /** The guarded response under way, until Node tells that it is finished. There is never another beside it: that one has its `end` replaced. */
  watched: Watched | null;
  /** Those who wait for responses that have to wait for the socket. */
  readonly waiting: Set<Listener>;
  hasCloseListener: boolean;
}

interface Watched {
  readonly response: ServerResponse;
  readonly listeners: Listener[];
}

/** Copies of this package in one process share it, and one subscription: another shape of `Connection` needs another name. */
const CONNECTION = Symbol.for('@tollgate/express/connection');

interface Carrier {
  [CONNECTION]?: Connection;
  readonly destroyed: boolean;
  on(event: 'close', listener: (this: Carrier) => void): unknown;
}

/** What Node publishes when a request has come, and when its response is handed to the system. */
interface Message {
  readonly socket: Carrier;
  readonly response: ServerResponse;
}

function connectionOn(carrier: Carrier): Connection {
  carrier[CONNECTION] ??= { newest: null, watched: null, waiting: new Set(), hasCloseListener: false };
  return carrier[CONNECTION];
}

/** To be called when a guard is made: requests that came before are watched in the dearer way. */
export function prepareEndings(): void {
  const start: Channel & { [CONNECTION]?: true } = channel('http.server.request.start');
  if (start[CONNECTION]) return;
  start[CONNECTION] = true;
  start.subscribe((message) => {
    const { socket, response } = message as Message;
    connectionOn(socket).newest = response;
  });
  channel('http.server.response.finish').subscribe((message) => {
    const { socket, response } = message as Message;
    const connection = socket[CONNECTION];
    if (connection === undefined) return;
    if (connection.newest === response) connection.newest = null;
    const { watched } = connection;
    if (watched?.response !== response) return;
    connection.watched = null;
    ended(watched);
  });
}

/**
 * Tells how a handler ended: when it has ended its answer, its status; when the connection closes before that, `unseen`, and the status
 * all the same if it ends its answer later. Express shows a middleware no other end of a handler. A connection that is closed
 * already is `unseen` at once.
 *
 * On Node's own server a connection is watched and not each response: Express gives every response a shape of its own, so that whatever is
 * put on one, or listens to it, is dear.
 */
export function onEnding(response: Response, listener: Listener): void {
  const socket = response.socket as Carrier | null;
  const connection = socket?.[CONNECTION];
  const isServing = connection?.newest === response && socket?.destroyed === false;
  const isBeside = connection?.watched != null && connection.watched.response !== response;
  // An `end` that was replaced may come long after the handler called it, or never.
  if (!isServing || isBeside || Object.hasOwn(response, 'end')) {
    watchResponse(response, listener);
    return;
  }
  connection.watched ??= { response, listeners: [] };
  connection.watched.listeners.push(listener);
  listenForClose(socket, connection);
}

/** Tells when a handler ends its answer, before the answer goes out and whether anybody still hears it or not. */
export function onEnd(response: ServerResponse, listener: Listener): void {
  const end = response.end;
  response.end = function (this: ServerResponse, ...args: Parameters<typeof end>) {
    // A handler that ends an answer that was given in its stead tells its own end by the status it set.
    listener(response.writableEnded ? judge(response.statusCode) : endingOf(response));
    return end.apply(this, args);
  } as typeof end;
}

function watchResponse(response: Response, listener: Listener): void {
  const carrier = response.req?.socket as Carrier | undefined;
  // It waits behind another one, or stands in for the answer to an upgrade: nobody may ever give it the socket.
  const isWithout = response.socket === null && typeof carrier?.on === 'function';
  const connection = isWithout ? connectionOn(carrier) : undefined;
  onEnd(response, (ending) => {
    connection?.waiting.delete(listener);
    listener(ending);
  });
  if (response.destroyed || carrier?.destroyed === true) listener('unseen');
  // Node closes no response that never had the socket.
  else if (carrier !== undefined && connection !== undefined) {
    connection.waiting.add(listener);
    listenForClose(carrier, connection);
  } else response.on('close', () => listener('unseen'));
}

function listenForClose(socket: Carrier, connection: Connection): void {
  if (connection.hasCloseListener) return;
  connection.hasCloseListener = true;
  socket.on('close', closed);
}

function closed(this: Carrier): void {
  const connection = this[CONNECTION];
  if (connection === undefined) return;
  for (const listener of connection.waiting) listener('unseen');
  connection.waiting.clear();
  const { watched } = connection;
  if (watched === null) return;
  connection.watched = null;
  const { response, listeners } = watched;
  if (response.writableEnded) ended(watched);
  else {
    tell(listeners, 'unseen');
    onFinished(response, () => tell(listeners, endingOf(response)));
  }
}

function ended({ response, listeners }: Watched): void {
  const ending = endingOf(response);
  tell(listeners, ending);
  if (ending === 'unseen') onEnd(response, (later) => tell(listeners, later));
}

function tell(listeners: readonly Listener[], ending: Ending): void {
  for (const listener of listeners) listener(ending);
}

/**
 * Tells when Node's own `end` has been called, through whatever stands before it: an `end` that was replaced after the guard, as
 * sessions and compression do, calls the one it found, and not one that is put on later. Whether it was called is all that Node sets then.
 */
function onFinished(response: ServerResponse, finished: () => void): void {
  let isFinished = response.finished;
  Object.defineProperty(response, 'finished', {
    configurable: true,
    enumerable: true,
    get: () => isFinished,
    set(value: boolean) {
      const isNews = value && !isFinished;
      isFinished = value;
      if (isNews) finished();
    },
  });
}

/**
 * By the status that was sent: whoever fails after his answer may still set another. Where the head tells none, as an empty one under
 * adapters for AWS Lambda does, by the one that is set.
 */
function endingOf(response: ServerResponse & { readonly _header?: unknown }): Ending {
  const { _header: head } = response;
  const sent = typeof head === 'string' ? Number(head.slice(9, 12)) : 0;
  return judge(sent || response.statusCode);
}

function judge(status: number): Ending {
  return ANSWERED_FOR_IT.has(status) ? 'unseen' : { status };
}
