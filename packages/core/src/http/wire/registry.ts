import * as z from 'zod';

/** The schemas that have a name on the wire; the OpenAPI document lists them as components. */
export const wireSchemas = z.registry<{ id: string }>();

/** Gives a wire schema its published name. */
export function named<S extends z.ZodType>(id: string, schema: S): S {
  wireSchemas.add(schema, { id });
  return schema;
}
