import { TollgateError } from '@tollgate/core';

const WORD = /^[a-z0-9_]{1,64}$/i;
const MAX_RETRY_AFTER_S = 300;

/** Stripe's text for an id of live mode that is requested with a test key, or the reverse: it exists, but not for this key. */
const IN_OTHER_MODE = /\bsimilar object exists in (?:live|test) mode\b/;

/** The parts of the SDK's errors that are read here. None of their texts is passed on: a third party wrote them. */
interface StripeFailure {
  readonly type?: unknown;
  readonly code?: unknown;
  readonly message?: unknown;
  readonly statusCode?: unknown;
  readonly detail?: unknown;
  readonly headers?: unknown;
}

/** Waits for `ask` for at most `deadlineMs`. @throws TollgateError `provider_timeout` after that; whatever `ask` throws */
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
 * Calls Stripe and waits for at most `deadlineMs`.
 *
 * @throws TollgateError `provider_timeout`; `provider_busy` (too many requests, or another one locks the object) with
 * `retryAfterSeconds`; else `provider_error`. Its cause names status, type and code, and nothing else that Stripe sent.
 */
export async function callStripe<T>(ask: () => Promise<T>, deadlineMs: number): Promise<T> {
  try {
    return await inTime(ask, deadlineMs);
  } catch (error) {
    throw error instanceof TollgateError ? error : toTollgateError(error);
  }
}

/** Whether Stripe answered that it has no such object. */
export function isMissing(error: unknown): boolean {
  return error instanceof TollgateError && error.cause instanceof StripeRefusal && error.cause.isMissing;
}

/** Whether Stripe replayed a failure of its own that it has stored for the idempotency key, so that a retry with it would fail again. */
export function isRememberedFailure(error: unknown): boolean {
  return error instanceof TollgateError && error.cause instanceof StripeRefusal && error.cause.isRemembered;
}

/** The facts of a refusal, in our own words. */
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
