import { connect, type Socket } from 'node:net';
import { quantile } from './stats.ts';

export interface LoadOrder {
  readonly port: number;
  readonly connections: number;
  readonly orgs: number;
  readonly warmMs: number;
  /** Extends the warm-up until this many requests were sent, for a minute at most. @default 0 */
  readonly warmRequests?: number;
  readonly ms: number;
  /** Requests per second, sent evenly whether or not responses keep up; 0 sends as fast as responses arrive. @default 0 */
  readonly perSecond?: number;
}

export interface LoadResult {
  readonly requestsPerSecond: number;
  /** Responses measured. */
  readonly counted: number;
  /** Requests sent since the connections opened, warm-up included. */
  readonly sent: number;
  readonly p50Ms: number;
  readonly p99Ms: number;
  readonly refused: number;
}

const END_OF_HEAD = Buffer.from('\r\n\r\n');

/** The length of the first complete response in a buffer; undefined if it has not fully arrived. */
function responseLength(bytes: Buffer): number | undefined {
  const headEnd = bytes.indexOf(END_OF_HEAD);
  if (headEnd < 0) return undefined;
  const length = /content-length: (\d+)/i.exec(bytes.toString('latin1', 0, headEnd))?.[1];
  const total = headEnd + 4 + Number(length ?? 0);
  return bytes.length >= total ? total : undefined;
}

/**
 * Keeps `connections` sockets busy, each with one request after another: a closed loop. With `perSecond` it is an open loop, as long as
 * a socket is free when a request is due.
 */
export async function runLoad(order: LoadOrder): Promise<LoadResult> {
  const requests = Array.from({ length: order.orgs }, (_, org) =>
    Buffer.from(`POST /devices HTTP/1.1\r\nHost: bench\r\nx-org: o${org}\r\nContent-Length: 0\r\n\r\n`),
  );
  const { perSecond = 0 } = order;
  const free: (() => void)[] = [];
  let turn = 0;
  let sent = 0;
  let refused = 0;
  let isMeasuring = false;
  let isOver = false;
  const times: number[] = [];

  const open = async (): Promise<Socket> => {
    const socket = connect({ port: order.port, host: '127.0.0.1', noDelay: true });
    await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
    let bytes: Buffer = Buffer.alloc(0);
    let startedAt = 0;
    const send = () => {
      startedAt = performance.now();
      sent += 1;
      socket.write(requests[turn++ % requests.length] ?? '');
    };
    socket.on('error', () => {});
    socket.on('data', (chunk) => {
      bytes = bytes.length === 0 ? chunk : Buffer.concat([bytes, chunk]);
      const length = responseLength(bytes);
      if (length === undefined) return;
      if (isMeasuring) {
        times.push(performance.now() - startedAt);
        if (bytes.toString('latin1', 9, 12) !== '201') refused += 1;
      }
      bytes = bytes.subarray(length);
      if (!isOver) next();
    });
    const next = () => {
      if (perSecond > 0) free.push(send);
      else send();
    };
    next();
    return socket;
  };
  const sockets = await Promise.all(Array.from({ length: order.connections }, open));
  const stopPacing = perSecond > 0 ? pace(perSecond, free) : undefined;
  await pause(order.warmMs);
  for (let waited = 0; sent < (order.warmRequests ?? 0) && waited < 600; waited += 1) await pause(100);
  isMeasuring = true;
  const startedAt = performance.now();
  await pause(order.ms);
  isMeasuring = false;
  isOver = true;
  stopPacing?.();
  const seconds = (performance.now() - startedAt) / 1_000;
  for (const socket of sockets) socket.destroy();
  return {
    requestsPerSecond: times.length / seconds,
    counted: times.length,
    sent,
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
    refused,
  };
}

/** Every millisecond sends the requests that are due on the free sockets. Returns a function that stops it. */
function pace(perSecond: number, free: (() => void)[]): () => void {
  const startedAt = performance.now();
  let given = 0;
  const timer = setInterval(() => {
    const due = ((performance.now() - startedAt) * perSecond) / 1_000;
    while (given < due && free.length > 0) {
      free.shift()?.();
      given += 1;
    }
  }, 1);
  return () => clearInterval(timer);
}

const pause = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));
