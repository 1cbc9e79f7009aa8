import { ERROR_CODES, type ErrorCode } from '../errors/codes.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { HttpReply } from '../ports/http-message.ts';
import type { ApiError } from './wire/api-error.ts';

/** Codes for which a retry may soon succeed, even if the error itself names no time. */
const WORTH_RETRYING: ReadonlySet<ErrorCode> = new Set([
  'quota_unavailable',
  'repository_unavailable',
  'provider_busy',
  'event_in_progress',
]);

/** A JSON response, serialised here once for every framework. */
export function jsonReply(
  status: number,
  body: object,
  requestId: string,
  headers: Readonly<Record<string, string>>,
): HttpReply {
  const text = JSON.stringify(body);
  return {
    status,
    headers: {
      'Content-Type': 'application/json; charset=utf-8',
      'Content-Length': String(Buffer.byteLength(text)),
      'X-Request-Id': requestId,
      ...headers,
    },
    body: text,
  };
}

/** The response to an error. An error that is not a `TollgateError` becomes `internal_error`, and nothing of it is sent. */
export function errorReply(
  error: unknown,
  requestId: string,
  headers: Readonly<Record<string, string>> = {},
): HttpReply {
  const known = asTollgateError(error);
  const extra: Record<string, string> = { ...headers };
  const seconds = known.retryAfterSeconds ?? (WORTH_RETRYING.has(known.code) ? 1 : undefined);
  if (seconds !== undefined) extra['Retry-After'] = String(Math.max(0, Math.ceil(seconds)));
  // A client that is too slow to send its body does not keep the connection.
  if (known.code === 'body_timeout') extra.Connection = 'close';
  const body: ApiError = { message: known.message, error_code: known.code, correlationId: requestId };
  return jsonReply(known.status, body, requestId, extra);
}

/** The refusal of a guarded create; all its facts are in `headers` (from `rateLimitHeaders`). */
export function deniedReply(denial: {
  /** The engine's `deniedStatus`. */
  readonly status: 429 | 402 | 403;
  /** The quota keys that were full. */
  readonly keys: readonly string[];
  readonly requestId: string;
  readonly headers: Readonly<Record<string, string>>;
}): HttpReply {
  const body: ApiError = {
    message: denial.keys.length === 0 ? ERROR_CODES.quota_exceeded.message : usedUp(denial.keys),
    error_code: 'quota_exceeded',
    correlationId: denial.requestId,
  };
  return jsonReply(denial.status, body, denial.requestId, denial.headers);
}

function usedUp(keys: readonly string[]): string {
  const named = [...new Set(keys)];
  return `The ${named.length === 1 ? 'quota' : 'quotas'} ${named.join(', ')} ${named.length === 1 ? 'is' : 'are'} used up.`;
}

function asTollgateError(error: unknown): TollgateError {
  return error instanceof TollgateError ? error : new TollgateError('internal_error', { cause: error });
}
