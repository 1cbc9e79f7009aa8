import { TollgateError } from '@tollgate/core';

const RETRYABLE = new Set([
  '40001', // serialization_failure
  '40P01', // deadlock_detected
  '23505', // unique_violation: two first writers met; the second finds the row the next time
  '55P03', // lock_not_available
  '57P01', // admin_shutdown
  '57P02', // crash_shutdown
  '57P03', // cannot_connect_now
  '57P05', // idle_session_timeout
  '53300', // too_many_connections
]);
/** Text or sizes that Postgres always refuses: the caller's fault, and no retry helps. */
const UNSTORABLE = new Set(['22021', '22P05', '54000']);
const NOT_MIGRATED = new Set(['3F000', '42P01', '42703', '42883']);

function sqlStateOf(error: unknown): string | undefined {
  const code = typeof error === 'object' && error !== null && 'code' in error ? error.code : undefined;
  // System error codes (`EPIPE`) have no digit.
  return typeof code === 'string' && /^(?=.*\d)[0-9A-Z]{5}$/.test(code) ? code : undefined;
}

/** An error of a driver, with what follows from it. Never leaves this package. */
export class DatabaseError extends Error {
  override readonly name = 'DatabaseError';
  readonly sqlState: string | undefined;
  /**
   * Whether the connection may be used again: the server itself answered, and did not end the session. A read-only server (25006) may
   * have been demoted to a standby: a new connection may find the primary.
   */
  readonly isSessionAlive: boolean;

  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause), { cause });
    this.sqlState = sqlStateOf(cause);
    this.isSessionAlive = this.sqlState !== undefined && !/^(08|57P|25P03|25006)/.test(this.sqlState);
  }

  /**
   * Whether a retry may succeed and can do no harm. After a connection was lost at commit, nobody knows whether the commit happened:
   * it is never retried.
   */
  mayRetry(atCommit: boolean): boolean {
    if (this.sqlState === undefined || this.sqlState.startsWith('08')) return !atCommit;
    return RETRYABLE.has(this.sqlState) && (this.isSessionAlive || !atCommit);
  }

  /** The error as callers of the repository get it. */
  toTollgateError(): TollgateError {
    if (this.sqlState !== undefined && UNSTORABLE.has(this.sqlState)) {
      return new TollgateError('invalid_request', { message: 'A text cannot be stored.', cause: this.cause });
    }
    const isMissing = this.sqlState !== undefined && NOT_MIGRATED.has(this.sqlState);
    const cause = isMissing
      ? new Error('Tollgate has no tables of this version here: call migrate() once at start.', {
          cause: this.cause,
        })
      : this.cause;
    return new TollgateError('repository_unavailable', { cause, retryAfterSeconds: 1 });
  }
}

/** The error of a call after `close`. */
export function closedError(): TollgateError {
  return new TollgateError('repository_unavailable', { message: 'The repository is closed.' });
}
