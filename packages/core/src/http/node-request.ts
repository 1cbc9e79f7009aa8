import type { IncomingMessage } from 'node:http';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { HttpRequest } from '../ports/http-message.ts';
import { keptBytes } from './kept-body.ts';
import { passageOf } from './passage.ts';
import { rawPath, rawQuery } from './raw-path.ts';
import { type BodyLimits, readBody } from './read-body.ts';

/** What an adapter knows of a request that Node's own message does not tell. */
export interface NodeRequestSource {
  readonly message: IncomingMessage;
  /** The request target as the client sent it, whatever routers have cut off since. */
  readonly target: string;
  readonly native: unknown;
  /** Where the host's body parser leaves what it made of the body, and by the usual name `rawBody` its bytes or text. */
  readonly parsed: { readonly body?: unknown; readonly rawBody?: unknown };
}

/** The limits of a request that passed no billing router. */
const DEFAULT_LIMITS: BodyLimits = { maxBodyBytes: 1_048_576, bodyTimeoutMs: 10_000 };

const NOTHING = new Uint8Array(0);

/** The neutral request over a Node message. Nothing of the body is read before it is asked for. */
export function createNodeRequest(source: NodeRequestSource): HttpRequest {
  return new NodeRequest(source);
}

/** A class, since a literal with a getter gives each object a shape of its own: old garbage by the thousand a second. */
class NodeRequest implements HttpRequest {
  readonly native: unknown;
  readonly #source: NodeRequestSource;
  #query: URLSearchParams | null = null;
  #bytes: Promise<Uint8Array> | null = null;
  #json: Promise<unknown> | null = null;

  constructor(source: NodeRequestSource) {
    this.native = source.native;
    this.#source = source;
  }

  get method(): string {
    return (this.#source.message.method ?? 'GET').toUpperCase();
  }

  get path(): string {
    return rawPath(this.#source.target);
  }

  query(name: string): string | undefined {
    this.#query ??= new URLSearchParams(rawQuery(this.#source.target));
    return this.#query.get(name) ?? undefined;
  }

  header(name: string): string | undefined {
    return headerOf(this.#source.message, name);
  }

  bytes(): Promise<Uint8Array> {
    this.#bytes ??= takeBytes(this.#source);
    return this.#bytes;
  }

  json(): Promise<unknown> {
    this.#json ??= takeJson(this.#source, () => this.bytes());
    return this.#json;
  }
}

function headerOf(message: IncomingMessage, name: string): string | undefined {
  const key = name.toLowerCase();
  if (!Object.hasOwn(message.headers, key)) return undefined;
  const value = message.headers[key];
  return Array.isArray(value) ? value.join(', ') : value;
}

async function takeBytes(source: NodeRequestSource): Promise<Uint8Array> {
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
  return readBody(message, limits);
}

async function takeJson(source: NodeRequestSource, bytes: () => Promise<Uint8Array>): Promise<unknown> {
  checkHead(source.message);
  const parsed = source.parsed.body;
  // Some parsers leave an empty object where they did nothing: only a body that was really read counts.
  if (source.message.readableDidRead && parsed !== undefined && !(parsed instanceof Uint8Array)) {
    return typeof parsed === 'string' ? parseJson(parsed) : parsed;
  }
  return parseJson(decode(await bytes()));
}

/** What the head alone rules out, however the body is got at. */
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
    headerOf(message, 'transfer-encoding') !== undefined ||
    Number(headerOf(message, 'content-length') ?? 0) > 0
  );
}

function asBytes(value: unknown, text: 'text' | 'no text' = 'text'): Uint8Array | null {
  if (value instanceof Uint8Array) return value;
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
