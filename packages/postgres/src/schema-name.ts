import { TollgateError } from '@tollgate/core';

/**
 * Accepts a name unless it is a schema that a host's own tables are commonly in. Returns it quoted for SQL, since it may be an SQL keyword
 * (`user`).
 * @throws TollgateError `invalid_configuration`
 */
export function checkSchemaName(name: string): string {
  const isSane = typeof name === 'string' && /^[a-z_][a-z0-9_]{0,62}$/.test(name);
  if (isSane && !/^(public|information_schema|pg_.*)$/.test(name)) return `"${name}"`;
  throw new TollgateError('invalid_configuration', {
    message:
      'postgres: `schema` must be a name of its own: 1 to 63 of a-z, 0-9, _, and not public nor a schema of Postgres.',
  });
}
