import { redact } from '../defaults/redact.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import { warnSometimes } from '../warn-sometimes.ts';
import type { Wiring } from '../wiring.ts';
import { within } from '../within.ts';

const MAX_NAMES = 10;

/**
 * The host's own count of a capacity key.
 *
 * @param lateMs - how long to wait instead of `inventoryTimeoutMs`, if the caller itself fails its waiters in time
 * @throws TollgateError `quota_unavailable` if the host fails, does not reply within `inventoryTimeoutMs`, or returns what is not a count
 */
export async function countRows(
  { inventory, settings, logger }: Pick<Wiring, 'inventory' | 'settings' | 'logger'>,
  org: string,
  key: string,
  lateMs?: number,
): Promise<number> {
  let count: number;
  try {
    // A host without types may return a plain number rather than a promise.
    const counting = Promise.resolve(inventory.count({ org, key }));
    count = await within(lateMs ?? settings.inventoryTimeoutMs, counting, lateMs === undefined);
  } catch (cause) {
    const facts = { org, key, error: redact(cause) };
    warnSometimes(logger, 'inventory.count failed: what needs this count is not decided', facts);
    throw new TollgateError('quota_unavailable', { cause, retryAfterSeconds: 1 });
  }
  if (!Number.isSafeInteger(count) || count < 0) {
    const answered = { key, answer: describe(count), type: typeof count };
    logger.error('inventory.count answered something that is not a count', answered);
    throw new TollgateError('quota_unavailable', { retryAfterSeconds: 1 });
  }
  return count;
}

/** Describes what was returned in place of a count, such as a row or a list of rows, without its contents, which do not belong in a log. */
function describe(answer: unknown): string {
  if (Array.isArray(answer)) return `a list of ${answer.length}`;
  if (typeof answer !== 'object' || answer === null) return String(answer);
  return `an object with ${Object.keys(answer).slice(0, MAX_NAMES).join(', ')}`;
}
