import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { PGlite } from '@electric-sql/pglite';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { startFile } from './child-process.test-support.ts';
import { postgresRepository } from './postgres-repository.ts';

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'tollgate-pglite-'));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('finds every acknowledged write in the file store of a PGlite process that was killed (F25)', {
  timeout: 60_000,
}, async () => {
  const dataDir = join(folder, 'data');
  const writer = startFile('pglite-writer.test-support.ts', dataDir);
  let acknowledged = 0;
  while (acknowledged < 20) acknowledged = Number(await writer.line());
  await writer.kill('SIGKILL');

  const pglite = await PGlite.create(dataDir);
  const repository = postgresRepository({ pglite });
  await expect(repository.migrate()).resolves.toMatchObject({ from: 3, to: 3 });
  const { overrides } = await repository.loadOrg('acme');
  expect(overrides[0]?.limit).toBeGreaterThanOrEqual(acknowledged);
  const audits = await repository.listAudit({ org: 'acme', before: null, limit: 1_000 });
  // One entry for every change that stands: nothing is half there.
  expect(audits).toHaveLength(overrides[0]?.limit ?? -1);
  const [usage] = await repository.loadUsage({
    org: 'acme',
    windows: [{ key: 'door_opens', window: 'day:2026-04-09' }],
  });
  expect(usage?.used).toBeGreaterThanOrEqual(acknowledged);
  await pglite.close();
});
