import { PGlite } from '@electric-sql/pglite';
import { postgresRepository } from './postgres-repository.ts';

// Keeps writing to a PGlite on disk and prints each acknowledged write, until it is killed.
const pglite = await PGlite.create(process.argv[2] ?? '');
const repository = postgresRepository({ pglite });
await repository.migrate();
const at = Date.UTC(2026, 3, 9, 12);
for (let n = 1; ; n += 1) {
  await repository.saveUsage([
    { org: 'acme', key: 'door_opens', window: 'day:2026-04-09', used: n, endsAt: null },
  ]);
  const override = {
    id: `o${n}`,
    subjectType: 'org',
    subjectId: 'acme',
    key: 'devices',
    period: null,
    limit: n,
  };
  const rest = { expiresAt: null, reason: null, createdBy: 'op', createdAt: at, updatedAt: at };
  await repository.upsertOverride({ override: { ...override, ...rest }, actor: 'op' });
  process.stdout.write(`${n}\n`);
}
