import pg from 'pg';
import { expect, inject, it, onTestFinished, vi } from 'vitest';
import { pgDatabase } from './pg-database.ts';

it('a connection that is held goes back when it was held for so long in all, in however many transactions', async () => {
  const pool = new pg.Pool({ connectionString: inject('databaseUrl'), max: 1 });
  onTestFinished(() => pool.end());
  const database = pgDatabase({ pool, timeoutMs: 60_000, lockTimeoutMs: 60_000 });
  const now = performance.now.bind(performance);
  let passedMs = 0;
  vi.spyOn(performance, 'now').mockImplementation(() => now() + passedMs);
  const held = database.hold();
  const idle: number[] = [];
  for (let transactions = 0; transactions < 3; transactions += 1) {
    await held.transaction((sql) => sql('select 1'));
    held.letGoAfter(20_000);
    idle.push(pool.idleCount);
    passedMs += 12_000;
  }
  expect(idle).toEqual([0, 0, 1]);
  await held.transaction((sql) => sql('select 1'));
  held.letGoAfter(0);
  expect(pool.idleCount).toBe(1);
  await database.close();
});
