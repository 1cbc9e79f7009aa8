import type { AuditEntry, BillingRepository } from '@tollgate/core';
import type { Sql, SqlValue } from '../database/database.ts';
import { toSqlInstant } from '../database/sql-values.ts';
import type { Store } from './store.ts';

const COLUMNS = 'position, at, org, actor, action, subject, before, after';

/** Writes an audit entry in the transaction of the change it records; does nothing for null. */
export async function writeAudit(sql: Sql, s: string, entry: AuditEntry | null): Promise<void> {
  if (entry === null) return;
  await sql(
    `insert into ${s}.audit (at, org, actor, action, subject, before, after)
     values ($1, $2, $3, $4, $5, $6, $7)`,
    [
      toSqlInstant(entry.at),
      entry.org,
      entry.actor,
      entry.action,
      entry.subject,
      JSON.stringify(entry.before ?? null),
      JSON.stringify(entry.after ?? null),
    ],
  );
}

/** The part of the repository that reads the audit trail. */
export function auditMethods({ ask, s }: Store): Pick<BillingRepository, 'listAudit'> {
  return {
    listAudit: ({ org, before, limit }) => {
      const values: SqlValue[] = [limit];
      const conditions: string[] = [];
      if (org !== null) conditions.push(`org = $${values.push(org)}`);
      if (before !== null) conditions.push(`position < $${values.push(before)}`);
      return ask<AuditEntry & { position: number }>(
        `select ${COLUMNS} from ${s}.audit
         ${conditions.length > 0 ? `where ${conditions.join(' and ')}` : ''}
         order by position desc limit $1`,
        values,
      );
    },
  };
}
