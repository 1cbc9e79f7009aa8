import { afterAll, beforeAll, expect, inject, it } from 'vitest';
import { startFile } from './child-process.test-support.ts';
import { postgresForTesting, type TestingDatabase } from './testing-database.test-support.ts';

const COPIES = [13, 13, 12, 12];
let database: TestingDatabase;

beforeAll(async () => {
  database = await postgresForTesting(inject('databaseUrl'));
});
afterAll(() => database.drop());

it('gives 50 copies of one event, handed to 4 processes at once, one effect (W2, F27)', {
  timeout: 60_000,
}, async () => {
  const children = COPIES.map((copies) =>
    startFile('claim-child.test-support.ts', inject('databaseUrl'), database.s, `${copies}`),
  );
  for (const child of children) await expect(child.line()).resolves.toBe('ready');
  for (const child of children) child.write('go\n');
  const outcomes: string[] = [];
  for (const child of children) outcomes.push(...JSON.parse(await child.line()));

  expect(outcomes).toHaveLength(50);
  expect(outcomes.filter((outcome) => outcome === 'processed')).toHaveLength(1);
  // The others were told that it is being done or is done: none was lost, none failed.
  expect(outcomes.filter((outcome) => outcome === 'busy' || outcome === 'done')).toHaveLength(49);
  const { s, raw } = database;
  await expect(raw(`select result, count(*)::int from ${s}.inbox group by result`)).resolves.toEqual([
    { result: 'applied', count: 1 },
  ]);
  await expect(raw(`select version::int from ${s}.subscriptions`)).resolves.toEqual([{ version: 1 }]);
  await expect(raw(`select count(*)::int from ${s}.audit`)).resolves.toEqual([{ count: 1 }]);
});
