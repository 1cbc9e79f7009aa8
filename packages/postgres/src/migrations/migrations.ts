import { billingState } from './0001-billing-state.ts';
import { counters } from './0002-counters.ts';
import { rememberedEnds } from './0003-remembered-ends.ts';
import type { Migration } from './migration.ts';

/** Every step of the schema, in order. */
export const MIGRATIONS: readonly Migration[] = [billingState, counters, rememberedEnds];
