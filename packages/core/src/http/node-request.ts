import type { IncomingMessage } from 'node:http';
import { isUint8Array } from 'node:util/types';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { HttpRequest } from '../ports/http-message.ts';
import { keptBytes } from './kept-body.ts';
import { passageOf } from './passage.ts';
import { rawPath, rawQuery } from './raw-path.ts';
import { type BodyLimits, readBody } from './read-body.ts';

/** What an adapter knows of a request beyond Node's own message. */
export interface NodeRequestSource<N = unknown> {
  readonly message: IncomingMessage;
  readonly native: N;
  /** The request target as the client sent it, including the prefixes that routers have removed since. */
  readonly targetOf: (native: N) => string;
  /** Where the host's body parser leaves the parsed body and, by the usual name `rawBody`, its bytes or text. */
  readonly parsed: { readonly body?: unknown; readonly rawBody?: unknown };
}

/** The limits of a request that passed no billing router. */
const DEFAULT_LIMITS: BodyLimits = { maxBodyBytes: 1_048_576, bodyTimeoutMs: 10_000 };

const NOTHING = new Uint8Array(0);

/** A framework-neutral request over a Node message; one message may have several. The body is read on demand only. */
export function createNodeRequest<N>(source: NodeRequestSource<N>): HttpRequest {
  return new NodeRequest(source);
}

/** Bodies by message, since a stream can be read only once. */
const bodies = new WeakMap<IncomingMessage, Promise<Uint8Array>>();

/** Messages whose bodies were read here, and not by the host's parser. */
const readHere = new WeakSet<IncomingMessage>();

/** A class, since a literal with a getter gives each object its own hidden class: thousands a second, garbage of the old generation. */
class NodeRequest<N> implements HttpRequest {
  readonly #source: NodeRequestSource<N>;

  constructor(source: NodeRequestSource<N>) {
    this.#source = source;
  }

  get native(): N {
    return this.#source.native;
  }

  get method(): string {
    return (this.#source.message.method ?? 'GET').toUpperCase();
  }

  get path(): string {
    return rawPath(this.#target);
  }

  get #target(): string {
    return this.#source.targetOf(this.#source.native);
  }

  query(name: string): string | undefined {
    return new URLSearchParams(rawQuery(this.#target)).get(name) ?? undefined;
  }

  header(name: string): string | undefined {
    return headerOf(this.#source.message, name);
  }

  bytes(): Promise<Uint8Array> {
    const { message } = this.#source;
    let bytes = bodies.get(message);
    if (bytes === undefined) {
      bytes = bytesOf(this.#source);
      bodies.set(message, bytes);
    }
    return bytes;
  }

  json(): Promise<unknown> {
    return jsonOf(this.#source, () => this.bytes());
  }
}

function headerOf(message: IncomingMessage, name: string): string | undefined {
  const { headers } = message;
  const key = name.toLowerCase();
  if (!Object.hasOwn(headers, key)) return undefined;
  const value = headers[key];
  return Array.isArray(value) ? value.join(', ') : value;
}

async function bytesOf(source: Pick<NodeRequestSource, 'message' | 'parsed'>): Promise<Uint8Array> {
  const { message } = source;
  const limits = checkHead(message);
  const kept = keptBytes(message) ?? asBytes(source.parsed.rawBody) ?? asBytes(source.parsed.body, 'no text');
  if (kept !== null) {
    if (kept.length > limits.maxBodyBytes) throw new TollgateError('body_too_large');
    return kept;
  }
  if (!announcesBody(message)) return NOTHING;
  if (message.readableDidRead) throw new TollgateError('raw_body_unavailable');
  if (message.readableEnded) return NOTHING;
  readHere.add(message);
  return readBody(message, limits);
}

async function jsonOf(
  source: Pick<NodeRequestSource, 'message' | 'parsed'>,
  bytes: () => Promise<Uint8Array>,
): Promise<unknown> {
  const { message } = source;
  checkHead(message);
  const parsed = source.parsed.body;
  // Some parsers leave an empty object where they did nothing: a parsed body only counts if a parser has read the stream.
  const isTheirs = message.readableDidRead && !readHere.has(message);
  if (isTheirs && parsed !== undefined && !isUint8Array(parsed)) {
    return typeof parsed === 'string' ? parseJson(parsed) : parsed;
  }
  return parseJson(decode(await bytes()));
}

/** Refuses what the headers alone rule out, wherever the body comes from. */
function checkHead(message: IncomingMessage): BodyLimits {
  const limits = passageOf(message)?.engine.settings ?? DEFAULT_LIMITS;
  const encoding = headerOf(message, 'content-encoding');
  if (encoding !== undefined && encoding.trim().toLowerCase() !== 'identity') {
    throw new TollgateError('unsupported_encoding');
  }
  if (Number(headerOf(message, 'content-length') ?? 0) > limits.maxBodyBytes)
    throw new TollgateError('body_too_large');
  return limits;
}

function announcesBody(message: IncomingMessage): boolean {
  return (
    // HTTP/2 marks the end of a body in its frames, without a header.
    message.httpVersionMajor > 1 ||
    headerOf(message, 'transfer-encoding') !== undefined ||
    Number(headerOf(message, 'content-length') ?? 0) > 0
  );
}

function asBytes(value: unknown, text: 'text' | 'no text' = 'text'): Uint8Array | null {
  if (isUint8Array(value)) return value;
  return text === 'text' && typeof value === 'string' ? Buffer.from(value, 'utf8') : null;
}

function decode(bytes: Uint8Array): string {
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch (cause) {
    throw new TollgateError('invalid_request', { message: 'The request body is not UTF-8.', cause });
  }
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch (cause) {
    throw new TollgateError('invalid_request', { message: 'The request body is not JSON.', cause });
  }
}
