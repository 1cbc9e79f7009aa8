import { billingState } from './0001-billing-state.ts';
import { counters } from './0002-counters.ts';
import type { Migration } from './migration.ts';

/** Every step of the schema, in order. */
export const MIGRATIONS: readonly Migration[] = [billingState, counters];
