import { TollgateError } from '@tollgate/core';

/**
 * Lets through a name that cannot be a schema the host's own tables are in by habit. Answers it as it stands in SQL: quoted, for it
 * may be a word of SQL's own (`user`).
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
