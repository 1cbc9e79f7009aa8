/** Shortest idle time-out of an open transaction, which ends its session, ms: longer than a statement travels. */
const LEAST_IDLE_MS = 1_000;

/** Settings of a transaction: nothing in it waits for ever, and dates read the same whatever the session's own settings. */
export function transactionSettings(timeoutMs: number, lockTimeoutMs: number): string {
  const timeout = Math.max(1, Math.floor(timeoutMs));
  return [
    `set local statement_timeout = ${timeout}`,
    `set local lock_timeout = ${Math.max(1, Math.min(Math.floor(lockTimeoutMs), timeout))}`,
    `set local idle_in_transaction_session_timeout = ${Math.max(LEAST_IDLE_MS, timeout)}`,
    `set local timezone = 'UTC'`,
    `set local datestyle = 'ISO'`,
  ].join('; ');
}
