import type { AuditEntry, BillingRepository } from '../../ports/billing-repository.ts';
import type { Synchronous } from './synchronous.ts';
import type { TableStore, Tables } from './tables.ts';

/** Appends an entry to the audit trail, unless it is null. */
export function writeAudit({ audit }: Tables, entry: AuditEntry | null): void {
  if (entry) audit.push({ ...entry, before: entry.before ?? null, after: entry.after ?? null });
}

/** The repository's method that reads the audit trail. */
export function auditMethods({ tables }: TableStore): Synchronous<Pick<BillingRepository, 'listAudit'>> {
  return {
    listAudit({ org, before, limit }) {
      const entries = [];
      for (
        let position = Math.min(tables.audit.length, (before ?? Number.POSITIVE_INFINITY) - 1);
        position > 0;
        position -= 1
      ) {
        if (entries.length >= limit) break;
        const entry = tables.audit[position - 1];
        if (entry && (org === null || entry.org === org)) entries.push({ ...entry, position });
      }
      return entries;
    },
  };
}
