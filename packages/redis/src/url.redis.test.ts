import { Redis } from 'ioredis';
import { expect, inject, it, onTestFinished, vi } from 'vitest';
import { openRedisCounterStore } from './redis-counter-store.ts';

// It reads a url in its own way.
vi.mock('ioredis', () => import('ioredis5'));

it.each([
  ['a backslash', 'sent\\inel'],
  ['an @ and a :', 'sent@in:el'],
])(
  'a password with %s in a url is the one that ioredis 5 tells, to the server of the url, and is not shown',
  async (_what, password) => {
    const user = 'named-in-a-url';
    const admin = new Redis(inject('redisUrl'));
    onTestFinished(() => admin.disconnect());
    await admin.call('ACL', 'SETUSER', user, 'on', `>${password}`, '~*', '+@all');
    onTestFinished(async () => void (await admin.call('ACL', 'DELUSER', user)));
    const url = inject('redisUrl').replace('://', `://${user}:${password}@`);
    const warned = vi.spyOn(process, 'emitWarning').mockReturnValue();
    onTestFinished(() => warned.mockRestore());
    const store = openRedisCounterStore({ url });
    onTestFinished(() => store.close());
    const counters = [{ key: 'devices', window: 'lifetime' }];
    await expect(store.read({ org: 'acme', counters })).resolves.toHaveLength(1);
    expect(warned).not.toHaveBeenCalled();
  },
);
