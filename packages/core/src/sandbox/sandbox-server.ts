import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { SandboxPageRequest, SandboxPageResponse } from './sandbox-site.ts';

const MAX_BODY_BYTES = 16_384;
const REQUEST_WITHIN_MS = 10_000;

/** The listening sandbox. */
export interface SandboxServer {
  /** `http://<host>:<port>`. */
  readonly origin: string;
  readonly port: number;
  close(): Promise<void>;
}

/**
 * Serves the sandbox's pages. Refuses requests for another host name, since a foreign page could otherwise rebind its name to this
 * machine (DNS rebinding), and forms sent from another origin.
 */
export async function startSandboxServer(request: {
  readonly host: string;
  readonly port: number;
  readonly handle: (request: SandboxPageRequest) => Promise<SandboxPageResponse>;
  /** Origins that the response to a form may redirect to. */
  readonly redirectOrigins: readonly string[];
}): Promise<SandboxServer> {
  const { host, handle } = request;
  let names: readonly string[] = [];
  const policy = `default-src 'none'; style-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'self' ${request.redirectOrigins.join(' ')}`;

  async function answer(message: IncomingMessage): Promise<SandboxPageResponse> {
    const method = message.method === 'HEAD' ? 'GET' : message.method;
    if (method !== 'GET' && method !== 'POST')
      return { status: 405, headers: { allow: 'GET, HEAD, POST' }, body: 'Method not allowed.' };
    const name = message.headers.host ?? '';
    if (!names.includes(name)) return { status: 421, body: 'This is another host.' };
    if (method === 'POST' && !isSameOrigin(message, name))
      return { status: 403, body: 'Forms of other sites are not accepted.' };
    const url = message.url ?? '/';
    if (!url.startsWith('/') || !URL.canParse(url, `http://${name}`))
      return { status: 400, body: 'The address is not valid.' };
    const { pathname, searchParams } = new URL(url, `http://${name}`);
    const body = method === 'POST' ? await readBody(message) : '';
    if (body === null)
      return { status: 413, headers: { connection: 'close' }, body: 'The form is too large.' };
    return await handle({ method, path: pathname, query: searchParams, form: new URLSearchParams(body) });
  }

  const server = createServer((message, response) => {
    void answer(message)
      .catch(() => ({ status: 500, body: 'Something went wrong.' }))
      .then((page) => send(response, page, policy));
  });
  server.requestTimeout = REQUEST_WITHIN_MS;
  await listen(server, host, request.port);
  // The pages must not keep the process alive.
  server.unref();
  const { port } = server.address() as AddressInfo;
  const shown = shownHost(host);
  names = [...new Set([shown, 'localhost', '127.0.0.1', '[::1]'])].map((name) => `${name}:${port}`);
  return {
    origin: `http://${shown}:${port}`,
    port,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function shownHost(host: string): string {
  if (host === '0.0.0.0' || host === '::') return 'localhost';
  return host.includes(':') ? `[${host}]` : host;
}

async function listen(server: Server, host: string, port: number): Promise<void> {
  await new Promise<void>((resolve, reject) => {
    server.once('error', (cause) => {
      const message = `The sandbox cannot listen on ${host}:${port}. Give it another port.`;
      reject(new TollgateError('invalid_configuration', { message, cause }));
    });
    server.listen(port, host, resolve);
  });
}

/** Browsers state where a form comes from. Other clients state nothing, and have no cookie or page to abuse. */
function isSameOrigin(message: IncomingMessage, name: string): boolean {
  const { origin } = message.headers;
  const site = message.headers['sec-fetch-site'];
  if (origin !== undefined) return origin === `http://${name}`;
  return site === undefined || site === 'same-origin' || site === 'none';
}

async function readBody(message: IncomingMessage): Promise<string | null> {
  const chunks: Buffer[] = [];
  let size = 0;
  for await (const chunk of message) {
    size += chunk.length;
    if (size > MAX_BODY_BYTES) return null;
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

function send(response: ServerResponse, page: SandboxPageResponse, policy: string): void {
  const bytes = Buffer.from(page.body, 'utf8');
  response.writeHead(page.status, {
    'content-type': page.body.startsWith('<!doctype')
      ? 'text/html; charset=utf-8'
      : 'text/plain; charset=utf-8',
    'content-length': bytes.length,
    'cache-control': 'no-store',
    'content-security-policy': policy,
    'referrer-policy': 'same-origin',
    'x-content-type-options': 'nosniff',
    ...page.headers,
  });
  // Node omits the body of a response to HEAD.
  response.end(bytes);
}
