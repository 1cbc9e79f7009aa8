import type { Telemetry } from '../ports/telemetry.ts';

/** Counts nothing. */
export const noTelemetry: Telemetry = { count: () => {} };
