import { TollgateError } from '@tollgate/core';

const WORD = /^[a-z0-9_]{1,64}$/i;
const MAX_RETRY_AFTER_S = 300;

/** What Stripe says of an id of live mode that is asked for with a test key, or the other way: it is there, but not for this key. */
const IN_OTHER_MODE = /\bsimilar object exists in (?:live|test) mode\b/;

/** The parts of the SDK's errors that are read here. None of their texts is passed on: those are foreign. */
interface StripeFailure {
  readonly type?: unknown;
  readonly code?: unknown;
  readonly message?: unknown;
  readonly statusCode?: unknown;
  readonly detail?: unknown;
  readonly headers?: unknown;
}

/** Waits for an answer, at most `deadlineMs`. @throws TollgateError `provider_timeout` when there is none by then; what `ask` throws. */
export async function inTime<T>(ask: () => Promise<T>, deadlineMs: number): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const deadline = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new TollgateError('provider_timeout')), deadlineMs);
  });
  try {
    return await Promise.race([ask(), deadline]);
  } finally {
    clearTimeout(timer);
  }
}

/**
 * Waits for an answer of Stripe's, at most `deadlineMs`.
 *
 * @throws TollgateError `provider_timeout`, `provider_busy` (too many requests, or another one holds the object) with
 * `retryAfterSeconds`, else `provider_error`. Its cause names status, type and code, and nothing else of what Stripe said.
 */
export async function callStripe<T>(ask: () => Promise<T>, deadlineMs: number): Promise<T> {
  try {
    return await inTime(ask, deadlineMs);
  } catch (error) {
    throw error instanceof TollgateError ? error : toTollgateError(error);
  }
}

/** Whether Stripe is sure that it has no such object. */
export function isMissing(error: unknown): boolean {
  return error instanceof TollgateError && error.cause instanceof StripeRefusal && error.cause.isMissing;
}

/** Whether Stripe answered with a failure of its own that it remembers for the idempotency key, and would answer again. */
export function isRememberedFailure(error: unknown): boolean {
  return error instanceof TollgateError && error.cause instanceof StripeRefusal && error.cause.isRemembered;
}

/** What is known of a refusal, in words of our own. */
class StripeRefusal extends Error {
  override readonly name = 'StripeRefusal';
  readonly isMissing: boolean;
  readonly isRemembered: boolean;

  constructor(message: string, facts: { readonly isMissing: boolean; readonly isRemembered: boolean }) {
    super(message);
    this.isMissing = facts.isMissing;
    this.isRemembered = facts.isRemembered;
  }
}

function toTollgateError(error: unknown): TollgateError {
  const failure: StripeFailure = typeof error === 'object' && error !== null ? error : {};
  const status = typeof failure.statusCode === 'number' ? failure.statusCode : null;
  const code = word(failure.code);
  const type = word(failure.type);
  const headers = asObject(failure.headers);
  const said = [status === null ? 'no answer' : `status ${status}`, type, code].filter(
    (part) => part !== null,
  );
  const cause = new StripeRefusal(`Stripe: ${said.join(', ')}.`, {
    isMissing: status === 404 && code === 'resource_missing' && !IN_OTHER_MODE.test(String(failure.message)),
    isRemembered: status !== null && status >= 500 && headers['idempotent-replayed'] === 'true',
  });
  if (isTimeout(failure)) return new TollgateError('provider_timeout', { cause });
  const isBusy =
    status === 429 || status === 409 || type === 'StripeRateLimitError' || code === 'lock_timeout';
  if (!isBusy) return new TollgateError('provider_error', { cause });
  return new TollgateError('provider_busy', { cause, retryAfterSeconds: retryAfter(headers['retry-after']) });
}

function isTimeout(failure: StripeFailure): boolean {
  return failure.type === 'StripeConnectionError' && asObject(failure.detail).code === 'ETIMEDOUT';
}

function retryAfter(value: unknown): number {
  const seconds = typeof value === 'string' && /^\d{1,6}$/.test(value) ? Number(value) : 1;
  return Math.min(Math.max(seconds, 1), MAX_RETRY_AFTER_S);
}

function word(value: unknown): string | null {
  return typeof value === 'string' && WORD.test(value) ? value : null;
}

function asObject(value: unknown): Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null ? (value as Readonly<Record<string, unknown>>) : {};
}
