import { subscribe } from 'node:diagnostics_channel';
import type { ServerResponse } from 'node:http';
import type { Ending } from '@tollgate/core';
import type { Response } from 'express';

type Tell = (ending: Ending) => void;

/** What a time-out middleware or a gateway answers in a handler's stead, while it may still be running. */
const ANSWERED_FOR_IT: ReadonlySet<number> = new Set([408, 503, 504]);

/** What is known of a connection of Node's own HTTP server: it serves one guarded request at a time, and others come after it. */
interface Connection {
  /** What its last request is answered with, until that is finished. */
  serving: ServerResponse | null;
  /** The guarded response under way, and who is to be told of its end. */
  guarded: ServerResponse | null;
  readonly tell: Tell[];
  isWatched: boolean;
}

const CONNECTION = Symbol('tollgate.connection');

interface Carrier {
  [CONNECTION]?: Connection;
  readonly destroyed?: boolean;
  on(event: 'close', listener: (this: Carrier) => void): unknown;
}

/** What Node publishes when a request has come and when its response is handed to the system. */
interface Message {
  readonly socket: Carrier;
  readonly response: ServerResponse;
}

let isListening = false;

/** To be called before the requests come whose endings are asked for; those that came earlier are watched as well, at a higher price. */
export function prepareEndings(): void {
  if (isListening) return;
  isListening = true;
  subscribe('http.server.request.start', (message) => {
    const { socket, response } = message as Message;
    const connection = socket[CONNECTION];
    if (connection !== undefined) connection.serving = response;
    else socket[CONNECTION] = { serving: response, guarded: null, tell: [], isWatched: false };
  });
  subscribe('http.server.response.finish', (message) => {
    const { socket, response } = message as Message;
    const connection = socket[CONNECTION];
    if (connection === undefined) return;
    if (connection.serving === response) connection.serving = null;
    if (connection.guarded === response) end(connection, response, endingOf(response));
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
export function onEnding(response: Response, ended: Tell): void {
  const socket = response.socket as Carrier | null;
  const connection = socket?.[CONNECTION];
  // Not so for a response that waits behind another one of its connection, and for one that no server of Node's serves.
  if (connection?.serving !== response || socket?.destroyed !== false) {
    onOwnEnding(response, ended);
    return;
  }
  connection.guarded = response;
  connection.tell.push(ended);
  if (connection.isWatched) return;
  connection.isWatched = true;
  socket.on('close', closed);
}

function closed(this: Carrier): void {
  const connection = this[CONNECTION];
  const response = connection?.guarded;
  if (connection === undefined || response == null) return;
  end(connection, response, response.writableEnded ? endingOf(response) : 'unseen');
}

function end(connection: Connection, response: ServerResponse, ending: Ending): void {
  const told = connection.tell.splice(0);
  connection.guarded = null;
  const tell = (how: Ending) => {
    for (const ended of told) ended(how);
  };
  tell(ending);
  if (ending === 'unseen') onEnd(response, tell);
}

function endingOf({ statusCode }: ServerResponse): Ending {
  return ANSWERED_FOR_IT.has(statusCode) ? 'unseen' : { status: statusCode };
}

function onOwnEnding(response: Response, ended: Tell): void {
  onEnd(response, ended);
  if (response.destroyed) ended('unseen');
  else response.on('close', () => ended('unseen'));
}

/** Tells when a handler ends its answer, before the answer goes out and whether anybody still hears it or not. */
export function onEnd(response: ServerResponse, ended: Tell): void {
  const end = response.end;
  response.end = function (this: ServerResponse, ...args: Parameters<typeof end>) {
    ended(endingOf(response));
    return end.apply(this, args);
  } as typeof end;
}
