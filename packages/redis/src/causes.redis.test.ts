import { Cluster, Redis } from 'ioredis';
import { expect, it } from 'vitest';
import { freePort, waitUntil } from '../../../test/support/services.ts';
import { read } from './faults.test-support.ts';
import { answers, endings, server, store } from './outage-scene.test-support.ts';

const AWAY = 'redis does not answer: quotas cannot be checked';
const CONNECTING = 'trouble with the connection to redis';

/** A logger that keeps what is said, each as its message and those of the error and its causes. */
function listener() {
  const said: string[] = [];
  const textOf = (error: unknown): string =>
    error instanceof Error ? ` | ${error.message}${textOf(error.cause)}` : '';
  const say = (message: string, facts?: { error?: unknown }) =>
    void said.push(`${message}${textOf(facts?.error)}`);
  return { said, logger: { debug() {}, info() {}, warn: say, error: say }, textOf };
}

function cluster(host: string, port: number, password?: string): Cluster {
  const client = new Cluster([{ host, port }], {
    lazyConnect: true,
    ...(password === undefined ? {} : { redisOptions: { password } }),
  });
  endings.push(() => client.disconnect());
  return client;
}

/** A label is too long to be looked up: the answer does not depend on the machine's name servers. */
const NO_HOST = `${'x'.repeat(64)}.invalid`;

it.each([
  [
    'a port nobody listens at',
    /ECONNREFUSED 127/,
    (free: number) => ({ url: `redis://:sentinel@127.0.0.1:${free}` }),
  ],
  ['a host that is none', /ENOTFOUND/, () => ({ url: `redis://:sentinel@${NO_HOST}` })],
  ['no password', /NOAUTH/, (_free: number, port: number) => ({ url: `redis://127.0.0.1:${port}` })],
  [
    'a wrong password',
    /WRONGPASS/,
    (_free: number, port: number) => ({ url: `redis://:sentinel@127.0.0.1:${port}` }),
  ],
  [
    'a client with a port nobody listens at',
    /ECONNREFUSED 127/,
    (port: number) => ({ client: new Redis({ port, host: '127.0.0.1', lazyConnect: true }) }),
  ],
  [
    'a Cluster at a port nobody listens at',
    /ECONNREFUSED 127/,
    (free: number) => ({ client: cluster('127.0.0.1', free) }),
  ],
  ['a Cluster at a host that is none', /ENOTFOUND/, () => ({ client: cluster(NO_HOST, 6379) })],
  [
    'a Cluster without a password',
    /NOAUTH/,
    (_free: number, port: number) => ({ client: cluster('127.0.0.1', port) }),
  ],
  [
    'a Cluster with a wrong password',
    /WRONGPASS/,
    (_free: number, port: number) => ({ client: cluster('127.0.0.1', port, 'sentinel') }),
  ],
  [
    'a single server taken for a Cluster',
    /cluster support disabled/,
    (_free: number, port: number) => ({ client: cluster('127.0.0.1', port, 'secret') }),
  ],
])('the log and the error say what is wrong with %s (F18)', async (_what, cause, target) => {
  const redis = await server({ args: ['--requirepass', 'secret'] });
  const { said, logger, textOf } = listener();
  const counters = store({ ...target(await freePort(), redis.port), logger, timeoutMs: 200 });
  await waitUntil('it is said before anybody asked', () => said.length > 0);
  expect(said).toEqual([expect.stringMatching(cause)]);
  expect(said[0]).toContain(CONNECTING);
  const error = await read(counters).catch((reason: unknown) => reason);
  expect(said).toEqual([said[0], expect.stringMatching(cause)]);
  expect(said[1]).toContain(AWAY);
  expect(textOf(error)).toMatch(cause);
  expect(said.join()).not.toContain('sentinel');
});

it('a database that the server does not have is told: the client goes on in the first one', async () => {
  const redis = await server();
  const { said, logger } = listener();
  const counters = store({ url: `${redis.url}/99`, logger });
  await answers(counters);
  expect(said).toEqual([`${CONNECTING} | ERR DB index is out of range`]);
});

it('what was wrong is told of an outage, and not of a later silence', async () => {
  const port = await freePort();
  const url = `redis://127.0.0.1:${port}`;
  const { said, logger } = listener();
  const first = await server({ port });
  const counters = store({ url, timeoutMs: 200, logger });
  await answers(counters);
  await first.stop();
  await expect(read(counters)).rejects.toMatchObject({ code: 'quota_unavailable' });
  const second = await server({ port });
  await answers(counters);
  await second.kill('SIGSTOP');
  await expect(read(counters)).rejects.toMatchObject({ code: 'quota_unavailable' });
  await second.kill('SIGCONT');
  const silent = `${AWAY} | Redis did not answer within 200 ms.`;
  const told = said.filter((one) => one.startsWith(AWAY) || one.startsWith(CONNECTING));
  expect(told).toEqual([`${silent} | connect ECONNREFUSED 127.0.0.1:${port}`, silent]);
});
