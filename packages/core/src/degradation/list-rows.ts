import { setImmediate as nextTurn } from 'node:timers/promises';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { InventoryRow, ResourceInventory } from '../ports/resource-inventory.ts';
import { within } from '../within.ts';

/** Rows listed before the event loop gets a turn: a host with its rows in memory would otherwise never yield. */
const ROWS_A_TURN = 1_000;

/**
 * The host's rows of a key as a stream, each requested only after the one before it was consumed.
 *
 * @throws TollgateError `quota_unavailable` if the host fails, takes longer than `timeoutMs` for a row, or returns what is not a row.
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
    // Abandoned early, so the host may close its cursor. Not awaited, since it may be what hangs.
    if (!isOver) rows?.return?.()?.catch(() => undefined);
  }
}

/** A host without types may return numeric ids or textual instants, which would make pins and order arbitrary. */
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
 * The row, or null if the host does not know it.
 *
 * @throws TollgateError `quota_unavailable` if the host fails or does not reply within `timeoutMs`.
 */
export async function findRow(
  inventory: ResourceInventory,
  request: { readonly org: string; readonly key: string; readonly id: string; readonly timeoutMs: number },
): Promise<InventoryRow | null> {
  const { org, key, id, timeoutMs } = request;
  try {
    // A host may return the first row of an empty result, which is undefined.
    return (await within(timeoutMs, Promise.resolve(inventory.find({ org, key, id })))) ?? null;
  } catch (cause) {
    throw new TollgateError('quota_unavailable', { cause, retryAfterSeconds: 1 });
  }
}
