import type { InventoryRow, ResourceInventory } from '@tollgate/core';
import { membersOf } from './credentials.ts';
import type { HostRows } from './rows/host-rows.ts';

const PAGE = 500;

/** The example's tables as the engine sees them: the truth for capacity keys. */
export function createInventory(rows: HostRows): ResourceInventory {
  const members = (org: string): readonly InventoryRow[] =>
    membersOf(org).map((id) => ({ id, createdAt: 0, lastUsedAt: null }));

  return {
    async count({ org, key }) {
      return key === 'org_users' ? membersOf(org).length : await rows.count({ org, key });
    },
    async *list({ org, key }) {
      if (key === 'org_users') {
        yield* members(org);
        return;
      }
      let after = '';
      for (;;) {
        const page = await rows.list({ org, key, after, limit: PAGE });
        yield* page;
        const last = page.at(-1);
        if (last === undefined || page.length < PAGE) return;
        after = last.id;
      }
    },
    async find({ org, key, id }) {
      if (key === 'org_users') return members(org).find((member) => member.id === id) ?? null;
      return await rows.find({ org, key, id });
    },
  };
}
