import type { AuditEntry } from '@tollgate/core';
import { type HostTransaction, nameOf } from './host-database.ts';

/** Positions grow by one with each entry. A database with sequences has them for nothing. */
export async function writeAudit(tx: HostTransaction, entry: AuditEntry | null): Promise<void> {
  if (entry === null) return;
  const last = (await tx.get<{ position: number }>('audit', 'last'))?.position ?? 0;
  await tx.put('audit', 'last', { position: last + 1 });
  await tx.put('audit', nameOf(String(last + 1)), { ...entry, position: last + 1 });
}
