import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { ApiRequest, ApiResponse } from './api.ts';
import type { PageRequest, PageResponse } from './pages.ts';

const MAX_BODY_BYTES = 1_048_576;

/** The stand-in's HTTP server. */
export interface StandInServer {
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Listens on loopback. `/v1` and `/v2` are the API, everything else is the hosted pages.
 *
 * @param api - null leaves the request unanswered for ever
 */
export async function startStandInServer(options: {
  readonly port: number;
  readonly api: (request: ApiRequest) => ApiResponse | null;
  readonly pages: (request: PageRequest) => PageResponse;
  readonly before: () => void;
}): Promise<StandInServer> {
  async function answer(message: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(message.url ?? '/', 'http://stand-in.invalid');
    const body = await read(message);
    options.before();
    if (/^\/v[12]\//.test(url.pathname)) {
      const result = options.api({
        method: message.method ?? 'GET',
        path: url.pathname,
        query: url.search.slice(1),
        body,
        header: (name) => [message.headers[name] ?? []].flat()[0],
      });
      if (result === null) return;
      response.writeHead(result.status, result.headers).end(result.body);
      return;
    }
    const method = message.method === 'POST' ? 'POST' : 'GET';
    const {
      status,
      location,
      body: html,
    } = options.pages({ method, path: url.pathname, form: new URLSearchParams(body) });
    response
      .writeHead(status, {
        'content-type': 'text/html; charset=utf-8',
        ...(location === undefined ? {} : { location }),
      })
      .end(html);
  }

  const server = createServer((message, response) => {
    answer(message, response).catch(() => {
      if (!response.headersSent) response.writeHead(500, { 'content-type': 'text/plain' });
      response.end('The stand-in failed.');
    });
  });
  await new Promise<void>((resolve, reject) => {
    server.once('error', reject);
    server.listen(options.port, '127.0.0.1', resolve);
  });
  server.unref();
  return {
    port: (server.address() as AddressInfo).port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function read(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of message) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) throw new Error('The request is too large.');
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}
