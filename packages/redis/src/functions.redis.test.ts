import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from 'vitest';
import { waitUntil } from '../../../test/support/services.ts';
import { count, read, reserve, settle } from './faults.test-support.ts';
import { create, plain, server, store } from './outage-scene.test-support.ts';

describe('the Redis counter store and its function', () => {
  it('survives SCRIPT FLUSH and FUNCTION FLUSH at any moment (F12)', async () => {
    const redis = await server();
    const counters = store({ url: redis.url });
    await count(counters, 0);
    const client = plain(redis);
    let isOver = false;
    const flushing = (async () => {
      while (!isOver) {
        await client.script('FLUSH');
        await client.call('FUNCTION', 'FLUSH');
        await sleep(3);
      }
    })();
    await create(counters, 200);
    isOver = true;
    await flushing;
    expect(await read(counters)).toMatchObject({ committed: 200, held: 0 });
  });

  it('runs scripts on a server that lets it have no functions, and says so once', async () => {
    const redis = await server();
    const client = plain(redis);
    await client.call('ACL', 'SETUSER', 'gate', 'on', '>secret', '~*', '+@all', '-function', '-fcall');
    const warnings: string[] = [];
    const logger = {
      debug: () => {},
      info: () => {},
      warn: (text: string) => void warnings.push(text),
      error: () => {},
    };
    const counters = store({ url: redis.url.replace('//', '//gate:secret@'), logger });
    await count(counters, 0);
    await create(counters, 50);
    expect(await read(counters)).toMatchObject({ committed: 50, held: 0 });
    expect(await client.call('FUNCTION', 'LIST')).toEqual([]);
    const said = () => warnings.filter((text) => text.includes('function'));
    await waitUntil('it was tried again', async () => {
      await read(counters);
      return said().length > 0;
    });
    expect(said()).toHaveLength(1);
    await client.call('ACL', 'SETUSER', 'gate', '+function', '+fcall');
    await waitUntil('it is used once it is allowed', async () => {
      await read(counters);
      return ((await client.call('FUNCTION', 'LIST')) as unknown[]).length > 0;
    });
    expect(await read(counters)).toMatchObject({ committed: 50, held: 0 });
  });

  it('needs no more rights than its README names', async () => {
    const redis = await server();
    const client = plain(redis);
    const rights = ['+@read', '+@write', '+@scripting', '+@connection', '+time', '+info'];
    await client.call('ACL', 'SETUSER', 'gate', 'reset', 'on', '>secret', '~{tg*', ...rights);
    const counters = store({ url: redis.url.replace('//', '//gate:secret@') });
    await count(counters, 0);
    await create(counters, 20);
    const over = { rememberMs: 60_000, leaseMs: 1 };
    await reserve(counters, 'late', over);
    await sleep(5);
    expect(await settle(counters, 'late', 'commit', over)).toMatchObject({ late: true });
    expect(await read(counters)).toMatchObject({ committed: 21, held: 0 });
    await waitUntil('its function is there', async () => {
      await read(counters);
      return ((await client.call('FUNCTION', 'LIST')) as unknown[]).length > 0;
    });
    expect(await client.acl('LOG')).toEqual([]);
  });

  it('does not load its library with every batch where it may load and not run it', async () => {
    const redis = await server();
    const client = plain(redis);
    await client.call('ACL', 'SETUSER', 'gate', 'on', '>secret', '~*', '+@all', '-fcall');
    const counters = store({ url: redis.url.replace('//', '//gate:secret@') });
    await count(counters, 0);
    await create(counters, 100);
    expect(await read(counters)).toMatchObject({ committed: 100, held: 0 });
    const loads = /cmdstat_function\|load:calls=(\d+)/.exec(await client.info('commandstats'))?.[1];
    expect(Number(loads)).toBeLessThan(10);
  });
});
