import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { FirstRows } from '../first-rows.ts';
import type { SelectionPolicy } from '../ports/billing-repository.ts';
import type { InventoryRow } from '../ports/resource-inventory.ts';
import { comparePicks, rankRow } from './picking-order.ts';
import { type Selection, selectRows } from './select-rows.ts';

setFlagsFromString('--expose_gc');
const collectGarbage = runInNewContext('gc') as () => void;

const row = (id: string, createdAt: number, lastUsedAt: number | null = null): InventoryRow => ({
  id,
  createdAt,
  lastUsedAt,
});
const rows = [row('b', 20, 5), row('a', 10, 50), row('c', 30), row('e', 20, 7), row('d', 20, null)];
const select = (selection: Partial<Selection>, of = rows) =>
  selectRows(of, {
    excess: 2,
    keepAtLeast: 0,
    policy: 'newest_first',
    pinned: new Set(),
    stage: 'degraded',
    ...selection,
  });

describe('selection', () => {
  it('D2: newest first, ties by id', async () => {
    expect(await select({ excess: 3 })).toEqual(['c', 'b', 'd']);
  });

  it('D2: oldest first, ties by id', async () => {
    expect(await select({ excess: 3, policy: 'oldest_first' })).toEqual(['a', 'b', 'd']);
  });

  it('D2: least recently used first, by creation where use is not tracked', async () => {
    expect(await select({ excess: 4, policy: 'least_recently_used' })).toEqual(['b', 'e', 'd', 'c']);
  });

  it('D2: pinned rows come last, and are picked all the same when nothing else is left', async () => {
    const pinned = new Set(['c', 'b']);
    expect(await select({ excess: 2, pinned })).toEqual(['d', 'e']);
    expect(await select({ excess: 4, pinned })).toEqual(['d', 'e', 'a', 'c']);
  });

  it('manual picks nothing while warned, then the newest of the unpinned', async () => {
    const pinned = new Set(['c']);
    expect(await select({ policy: 'manual', stage: 'warned', pinned })).toEqual([]);
    expect(await select({ policy: 'manual', stage: 'degraded', pinned })).toEqual(['b', 'd']);
    expect(await select({ policy: 'manual', stage: 'marked_for_delete', pinned })).toEqual(['b', 'd']);
  });

  it('picks nothing within limits, and reads no row then', async () => {
    const unread = (async function* (): AsyncGenerator<InventoryRow> {
      yield await Promise.reject(new Error('was read'));
    })();
    const selection = { keepAtLeast: 0, policy: 'newest_first', pinned: new Set<string>() } as const;
    expect(await selectRows(unread, { ...selection, excess: 0, stage: 'degraded' })).toEqual([]);
    expect(await selectRows(unread, { ...selection, excess: 5, stage: 'none' })).toEqual([]);
  });

  it('D1: never leaves fewer rows than the limit when rows went away since they were counted', async () => {
    expect(await select({ excess: 4, keepAtLeast: 3 })).toEqual(['c', 'b']);
    expect(await select({ excess: 4, keepAtLeast: 9 })).toEqual([]);
  });

  it('is exactly the first `excess` of all rows in the order of the policy, whatever order the host lists them in', async () => {
    const policies: SelectionPolicy[] = ['newest_first', 'oldest_first', 'least_recently_used', 'manual'];
    const instant = fc.integer({ min: 0, max: 20 });
    const someRow = fc.record({
      id: fc.string({ minLength: 1, maxLength: 3 }),
      createdAt: instant,
      lastUsedAt: fc.option(instant),
      isPinned: fc.boolean(),
    });
    await fc.assert(
      fc.asyncProperty(
        fc.uniqueArray(someRow, { selector: ({ id }) => id, maxLength: 40 }),
        fc.nat(45),
        fc.constantFrom(...policies),
        async (all, excess, policy) => {
          const pinned = new Set(all.filter(({ isPinned }) => isPinned).map(({ id }) => id));
          const expected = all
            .map((one) => rankRow(one, policy, one.isPinned))
            .sort(comparePicks)
            .slice(0, excess)
            .map(({ id }) => id);
          const selection = { excess, keepAtLeast: 0, policy, pinned, stage: 'degraded' } as const;
          expect(await selectRows(all, selection)).toEqual(expected);
          expect(await selectRows([...all].reverse(), selection)).toEqual(expected);
        },
      ),
    );
  });

  it('lets go of the rows it read: of 100,000 streamed rows it holds those it would pick', async () => {
    const read: WeakRef<InventoryRow>[] = [];
    let heldAtTheEnd = -1;
    async function* many(): AsyncGenerator<InventoryRow> {
      for (let i = 0; i < 100_000; i += 1) {
        const one = row(`row-${i}`, (i * 7_919) % 100_003);
        if (i % 100 === 0) read.push(new WeakRef(one));
        yield one;
      }
      // WeakRefs are kept alive until the turn ends.
      await new Promise((resolve) => setImmediate(resolve));
      collectGarbage();
      heldAtTheEnd = read.filter((ref) => ref.deref() !== undefined).length;
    }
    const picked = await selectRows(many(), {
      excess: 10,
      keepAtLeast: 0,
      policy: 'newest_first',
      pinned: new Set(),
      stage: 'warned',
    });
    expect(picked).toHaveLength(10);
    expect(heldAtTheEnd).toBeLessThan(20);
  });
});

describe('the rows that are held', () => {
  it('are never more than were asked for', () => {
    fc.assert(
      fc.property(fc.array(fc.integer()), fc.nat(10), (numbers, limit) => {
        const first = new FirstRows<number>(limit, (a, b) => a - b);
        for (const number of numbers) {
          first.add(number);
          expect(first.size).toBeLessThanOrEqual(limit);
        }
        expect(first.sorted()).toEqual([...numbers].sort((a, b) => a - b).slice(0, limit));
      }),
    );
  });
});
