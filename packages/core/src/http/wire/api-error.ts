import * as z from 'zod';
import { named } from './registry.ts';

/** The body of every error. */
export const apiError = named(
  'ApiErrorResponse',
  z.strictObject({ message: z.string(), error_code: z.string(), correlationId: z.string() }),
);
export type ApiError = z.infer<typeof apiError>;
