import type { Migration } from './migration.ts';

/** Indexes to find remembered ids that have expired: an org may have as many as it makes creates in a day. */
export const rememberedEnds: Migration = {
  number: 3,
  name: 'remembered ends',
  up: (s) => [
    `create index settled_reservations_by_end on ${s}.settled_reservations (ends_at)`,
    `create index adjustments_by_end on ${s}.adjustments (ends_at)`,
  ],
};
