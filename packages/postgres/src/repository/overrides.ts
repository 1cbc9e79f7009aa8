import type { BillingRepository, Override } from '@tollgate/core';
import { toSqlInstant } from '../database/sql-values.ts';
import { writeAudit } from './audit.ts';
import type { Store } from './store.ts';
import { watchNow } from './sweeps.ts';

/** An override's columns under the port's names. */
export const OVERRIDE_COLUMNS = `id, subject_type as "subjectType", subject_id as "subjectId", key, period,
  limit_value as "limit", expires_at as "expiresAt", reason, created_by as "createdBy", created_at as "createdAt",
  updated_at as "updatedAt"`;

/** The part of the repository that stores operators' limits. */
export function overrideMethods(store: Store): Pick<BillingRepository, 'upsertOverride' | 'listOverrides'> {
  const { database, ask, s } = store;
  return {
    upsertOverride: ({ override, actor }) =>
      database.transaction(async (sql) => {
        const [before] = await sql<Override>(
          `select ${OVERRIDE_COLUMNS} from ${s}.overrides
           where subject_type = $1 and subject_id = $2 and key = $3 and coalesce(period, '') = coalesce($4, '')
           for update`,
          [override.subjectType, override.subjectId, override.key, override.period],
        );
        const [after] =
          before === undefined
            ? // Of two first writers one gets a unique violation, and its retry finds the other's row above.
              await sql<Override>(
                `insert into ${s}.overrides (id, subject_type, subject_id, key, period, limit_value, expires_at,
                   reason, created_by, created_at, updated_at)
                 values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11)
                 returning ${OVERRIDE_COLUMNS}`,
                [
                  override.id,
                  override.subjectType,
                  override.subjectId,
                  override.key,
                  override.period,
                  override.limit,
                  toSqlInstant(override.expiresAt),
                  override.reason,
                  override.createdBy,
                  toSqlInstant(override.createdAt),
                  toSqlInstant(override.updatedAt),
                ],
              )
            : await sql<Override>(
                `update ${s}.overrides
                 set limit_value = $2, expires_at = $3, reason = $4, created_by = $5, updated_at = $6
                 where id = $1
                 returning ${OVERRIDE_COLUMNS}`,
                [
                  before.id,
                  override.limit,
                  toSqlInstant(override.expiresAt),
                  override.reason,
                  override.createdBy,
                  toSqlInstant(override.updatedAt),
                ],
              );
        const stored = after ?? override;
        if (stored.subjectType === 'org') await watchNow(sql, store, [stored.subjectId]);
        await writeAudit(sql, s, {
          at: override.updatedAt,
          org: override.subjectId,
          actor,
          action: 'override.set',
          subject: stored.id,
          before: before ?? null,
          after: stored,
        });
        return stored;
      }),

    listOverrides: ({ liveAt }) =>
      liveAt === null
        ? ask<Override>(`select ${OVERRIDE_COLUMNS} from ${s}.overrides order by id`)
        : ask<Override>(
            `select ${OVERRIDE_COLUMNS} from ${s}.overrides
             where expires_at is null or expires_at > $1 order by id`,
            [toSqlInstant(liveAt)],
          ),
  };
}
