import { type Channel, channel } from 'node:diagnostics_channel';
import type { ServerResponse } from 'node:http';
import type { Ending } from '@tollgate/core';
import type { Response } from 'express';

type Listener = (ending: Ending) => void;

/** Statuses that a time-out middleware or a gateway answers in place of a handler, which may still be running. */
const ANSWERED_FOR_IT: ReadonlySet<number> = new Set([408, 499, 503, 504]);

/** A connection of Node's own HTTP server. */
interface Connection {
  /** The response to the latest request; null once it is finished. */
  newest: ServerResponse | null;
  /** The guarded response in progress, until Node reports it finished. At most one: any other is watched by wrapping its `end`. */
  watched: Watched | null;
  /** Listeners for responses that do not have the socket yet. */
  readonly waiting: Set<Listener>;
  hasCloseListener: boolean;
}

interface Watched {
  readonly response: ServerResponse;
  readonly listeners: Listener[];
}

/** Shared by all copies of this package in one process, as is the subscription: another shape of `Connection` needs another name. */
const CONNECTION = Symbol.for('@tollgate/express/connection');

interface Carrier {
  [CONNECTION]?: Connection;
  readonly destroyed: boolean;
  on(event: 'close', listener: (this: Carrier) => void): unknown;
}

/** What Node publishes when a request has arrived, and when its response is handed to the system. */
interface Message {
  readonly socket: Carrier;
  readonly response: ServerResponse;
}

function connectionOn(carrier: Carrier): Connection {
  carrier[CONNECTION] ??= { newest: null, watched: null, waiting: new Set(), hasCloseListener: false };
  return carrier[CONNECTION];
}

/** Call it when a guard is made: requests that arrived before are watched in the more expensive way. */
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
 * Reports how a handler ended. When it ends its answer: the status. When the connection closes before that, or is closed already:
 * `unseen`, followed by the status if the handler ends its answer later. Express shows a middleware no other end of a handler.
 *
 * On Node's own server the connection is watched, not each response: Express gives every response a hidden class of its own, so a
 * property or listener on one is expensive.
 */
export function onEnding(response: Response, listener: Listener): void {
  const socket = response.socket as Carrier | null;
  const connection = socket?.[CONNECTION];
  const isServing = connection?.newest === response && socket?.destroyed === false;
  const isBeside = connection?.watched != null && connection.watched.response !== response;
  // Node may see an `end` that was wrapped long after the handler called it, or never.
  if (!isServing || isBeside || Object.hasOwn(response, 'end')) {
    watchResponse(response, listener);
    return;
  }
  connection.watched ??= { response, listeners: [] };
  connection.watched.listeners.push(listener);
  listenForClose(socket, connection);
}

/** Reports that a handler ends its answer, before the answer is sent, whether or not the client is still there. */
export function onEnd(response: ServerResponse, listener: Listener): void {
  const end = response.end;
  response.end = function (this: ServerResponse, ...args: Parameters<typeof end>) {
    // If the answer was already given in its place, the handler's own status is the one it set.
    listener(response.writableEnded ? judge(response.statusCode) : endingOf(response));
    return end.apply(this, args);
  } as typeof end;
}

function watchResponse(response: Response, listener: Listener): void {
  const carrier = response.req?.socket as Carrier | undefined;
  // It waits behind another response, or stands in for the answer to an upgrade: it may never get the socket.
  const isWithout = response.socket === null && typeof carrier?.on === 'function';
  const connection = isWithout ? connectionOn(carrier) : undefined;
  onEnd(response, (ending) => {
    connection?.waiting.delete(listener);
    listener(ending);
  });
  if (response.destroyed || carrier?.destroyed === true) listener('unseen');
  // Node emits no `close` on a response that never had the socket.
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
 * Reports that Node's own `end` was called, through all wrappers: an `end` that was wrapped after the guard, as by sessions and
 * compression, calls the one that it wraps, not one that is put on later. `finished` is the only thing that Node sets then.
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
 * Goes by the status that was sent, since a handler that fails after its answer may still set another. If the head has none, as the
 * empty one under adapters for AWS Lambda, by the status that is set.
 */
function endingOf(response: ServerResponse & { readonly _header?: unknown }): Ending {
  const { _header: head } = response;
  const sent = typeof head === 'string' ? Number(head.slice(9, 12)) : 0;
  return judge(sent || response.statusCode);
}

function judge(status: number): Ending {
  return ANSWERED_FOR_IT.has(status) ? 'unseen' : { status };
}
