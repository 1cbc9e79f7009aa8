import type { Redis } from 'ioredis';
import { describe, expect, it } from 'vitest';
import { gate } from '../guard/guard-scene.ts';
import { waitUntil } from '../support/services.ts';
import { frameworks, redisApp } from './redis-app.ts';
import { hostRows } from './redis-host-rows.ts';
import { answersAgain, consoleOf, keysOfOrg, linkTo, ownRedis } from './redis-servers.ts';

/** How far a server's own history goes, in bytes. */
async function historyOf(client: Redis, field: 'master_repl_offset' | 'slave_repl_offset'): Promise<number> {
  return Number(new RegExp(`${field}:(\\d+)`).exec(await client.info('replication'))?.[1]);
}

describe.each(frameworks)('when Redis loses counts behind its back, a guard on %s', (framework) => {
  it('warns at start of a policy that evicts, and counts anew what was evicted before anyone is let in (F15, Q9)', async () => {
    const redis = await ownRedis({ args: ['--maxmemory', '4mb', '--maxmemory-policy', 'allkeys-lru'] });
    const app = await redisApp(framework, { url: redis.url, timeoutMs: 2_000 }, { limits: { devices: 6 } });
    await waitUntil('it warns', () => app.warnings.some((warning) => warning.includes('allkeys-lru')));
    const client = consoleOf(redis);
    await app.fill(3);
    const finish = gate();
    const running = await app.begin({ until: finish.opened });
    // A row that no guard saw: a count that was kept would let in one too many.
    app.host.add('acme', 'devices');
    let sets = 0;
    await waitUntil(
      'every key of the org was evicted',
      async () => {
        const ballast = Array.from({ length: 100 }, () => ['set', `ballast:${sets++}`, 'x'.repeat(10_000)]);
        await client.pipeline(ballast).exec();
        return (await keysOfOrg(client, 'acme')).length === 0;
      },
      { everyMs: 1 },
    );
    const asked = app.host.asked();
    expect(await app.fillUp()).toBe(1);
    expect(app.host.asked()).toBeGreaterThan(asked);
    finish.open();
    expect((await running.answer).status).toBe(201);
    expect(await app.fillUp()).toBe(0);
    expect(app.host.of()).toBe(6);
    await app.countsTheRows();
  });

  it('passes the limit by no more than the writes a promoted replica lacks, and is exact once it has counted anew (F16, Q1x)', async () => {
    const primary = await ownRedis({ args: ['--repl-diskless-sync-delay', '0'] });
    const link = await linkTo(primary);
    const replica = await ownRedis({ args: ['--replicaof', `127.0.0.1 ${link.port}`] });
    const [ahead, behind] = [consoleOf(primary), consoleOf(replica)];
    const shared = { host: hostRows(), limits: { devices: 12 } };
    const writer = await redisApp(framework, { url: primary.url }, shared);
    const other = await redisApp(framework, { url: primary.url }, shared);
    await writer.fill(2);
    await other.fill(2);
    await writer.countsTheRows();
    await waitUntil('the replica has everything', async () => (await ahead.wait(1, 1_000)) === 1);
    link.cut();
    const lost = 4;
    await writer.fill(lost);
    await writer.countsTheRows();
    const [has, had] = [
      await historyOf(behind, 'slave_repl_offset'),
      await historyOf(ahead, 'master_repl_offset'),
    ];
    expect(had, 'acknowledged writes are lost').toBeGreaterThan(has);
    const asked = shared.host.asked();

    await primary.kill('SIGKILL');
    await behind.replicaof('NO', 'ONE');
    // It takes over the address, as a promoted replica does.
    await behind.config('SET', 'port', String(primary.port));
    await Promise.all([answersAgain(writer), answersAgain(other)]);
    await Promise.all([other.fillUp(), writer.fillUp()]);
    expect(shared.host.of()).toBeGreaterThanOrEqual(12);
    expect(shared.host.of()).toBeLessThanOrEqual(12 + lost);
    expect(shared.host.asked()).toBeGreaterThan(asked);
    await Promise.all([writer.countsTheRows(), other.countsTheRows()]);
    expect((await writer.create()).code).toBe('quota_exceeded');
  });
});
