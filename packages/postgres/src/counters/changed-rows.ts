/** What must be written so that the stored rows `before` become `after`. */
export interface ChangedRows<Row> {
  readonly saved: readonly Row[];
  readonly gone: readonly Row[];
}

/** Matches rows by name, and compares those with the same name as a whole. */
export function changedRows<Row>(
  before: readonly Row[],
  after: readonly Row[],
  nameOf: (row: Row) => string,
): ChangedRows<Row> {
  const known = new Map(before.map((row) => [nameOf(row), JSON.stringify(row)]));
  const saved = after.filter((row) => known.get(nameOf(row)) !== JSON.stringify(row));
  const kept = new Set(after.map(nameOf));
  return { saved, gone: before.filter((row) => !kept.has(nameOf(row))) };
}
