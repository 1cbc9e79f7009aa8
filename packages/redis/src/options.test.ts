import { inspect } from 'node:util';
import { expect, it } from 'vitest';
import type { RedisCounterStoreOptions } from './options.ts';
import { redisCounterStore } from './redis-counter-store.ts';

/** As of the package `redis`, whose clients have a `duplicate` as well. */
const foreign = { duplicate: () => foreign, sendCommand() {}, on() {} };
const url = 'redis://127.0.0.1:1';

/** What the process would print as it ends. */
function shownBy(open: () => unknown): string {
  try {
    return inspect(open());
  } catch (error) {
    return inspect(error);
  }
}

it.each([
  ['nothing', undefined, /a client or a url/],
  ['a client and a url', { client: {}, url }, /not both/],
  [
    'a client of another package: the process ended, with "callBuffer is not a function"',
    { client: foreign },
    /ioredis/,
  ],
  ['a client in the place of the options', { client() {}, duplicate() {} }, /ioredis/],
  [
    'a misspelt option: two apps that share a Redis would count together',
    { url, perfix: 'mine' },
    /perfix: is not an option/,
  ],
  ['an empty url, of a variable that is not set: it was taken for localhost', { url: '' }, /redis:\/\//],
  [
    'a URL object, which ioredis takes for options: without TLS, and of the first database',
    { url: new URL('redis://db:1') },
    /redis:\/\//,
  ],
  ['an address that is no url', { url: '127.0.0.1:6379' }, /redis:\/\//],
  [
    'a password that ends the address: the url was shown whole, as the `input` of a TypeError',
    { url: 'redis://:secret#1@127.0.0.1:1' },
    /%23/,
  ],
  ['a password with half an escape in it', { url: 'redis://:secret%@127.0.0.1:1' }, /%25/],
  ['a time-out that is none', { url, timeoutMs: '1s' }, /timeoutMs: use a whole number/],
])('is not made of %s', (_what, options, fault) => {
  expect(() => redisCounterStore(options as unknown as RedisCounterStoreOptions)).toThrow(
    expect.objectContaining({ code: 'invalid_configuration', message: expect.stringMatching(fault) }),
  );
  expect(shownBy(() => redisCounterStore(options as unknown as RedisCounterStoreOptions))).not.toMatch(
    /secret/,
  );
});
