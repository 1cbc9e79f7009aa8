import { setImmediate as nextTurn } from 'node:timers/promises';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { InventoryRow, ResourceInventory } from '../ports/resource-inventory.ts';
import { within } from '../within.ts';

/** A host that has its rows at hand answers without a pause: after so many the process sees to its other requests. */
const ROWS_A_TURN = 1_000;

/**
 * The host's rows of a key as a stream, each asked for only when the one before it is used up.
 *
 * @throws TollgateError `quota_unavailable` when the host fails, lets the next row wait longer than `timeoutMs`, or answers what is no row.
 */
export async function* listRows(
  inventory: ResourceInventory,
  request: { readonly org: string; readonly key: string; readonly timeoutMs: number },
): AsyncGenerator<InventoryRow> {
  const { org, key, timeoutMs } = request;
  let rows: AsyncIterator<InventoryRow> | undefined;
  let isOver = false;
  try {
    rows = inventory.list({ org, key })[Symbol.asyncIterator]();
    for (let listed = 1; ; listed += 1) {
      const next = await within(timeoutMs, rows.next());
      if (next.done) {
        isOver = true;
        return;
      }
      checkRow(next.value, key);
      yield next.value;
      if (listed % ROWS_A_TURN === 0) await nextTurn();
    }
  } catch (cause) {
    isOver = true;
    throw new TollgateError('quota_unavailable', { cause, retryAfterSeconds: 1 });
  } finally {
    // Left early: the host may let go of its cursor. Not waited for, it may be what hangs.
    if (!isOver) rows?.return?.()?.catch(() => undefined);
  }
}

/** A host without types may well answer ids that are numbers and instants that are texts: pins and order would go by chance. */
function checkRow({ id, createdAt, lastUsedAt }: InventoryRow, key: string): void {
  const isRow =
    typeof id === 'string' &&
    Number.isFinite(createdAt) &&
    (lastUsedAt == null || Number.isFinite(lastUsedAt));
  if (isRow) return;
  throw new TypeError(
    `inventory.list answered a row of ${key} that is none: id must be a text, createdAt and lastUsedAt epoch ms.`,
  );
}

/**
 * The row, or null when the host does not know it.
 *
 * @throws TollgateError `quota_unavailable` when the host fails or does not answer within `timeoutMs`.
 */
export async function findRow(
  inventory: ResourceInventory,
  request: { readonly org: string; readonly key: string; readonly id: string; readonly timeoutMs: number },
): Promise<InventoryRow | null> {
  const { org, key, id, timeoutMs } = request;
  try {
    // The first row of an empty result is undefined.
    return (await within(timeoutMs, Promise.resolve(inventory.find({ org, key, id })))) ?? null;
  } catch (cause) {
    throw new TollgateError('quota_unavailable', { cause, retryAfterSeconds: 1 });
  }
}
