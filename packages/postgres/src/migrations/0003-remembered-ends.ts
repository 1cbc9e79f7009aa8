import type { Migration } from './migration.ts';

/** What is remembered for a time is found by its end: an org may have a day's creates of it. */
export const rememberedEnds: Migration = {
  number: 3,
  name: 'remembered ends',
  up: (s) => [
    `create index settled_reservations_by_end on ${s}.settled_reservations (ends_at)`,
    `create index adjustments_by_end on ${s}.adjustments (ends_at)`,
  ],
};
