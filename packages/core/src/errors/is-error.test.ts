import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { capacity } from '../catalog/quota.ts';
import { createBilling } from '../create-billing.ts';
import { redact } from '../defaults/redact.ts';
import { createGuard } from '../guard/guard.ts';
import { createNotices } from '../notices/notices.ts';
import type { HttpRequest } from '../ports/http-message.ts';
import { describeError } from './describe-error.ts';
import { describeFailure } from './describe-failure.ts';
import { TollgateError } from './tollgate-error.ts';

/** As Node's own modules throw them under Jest. */
const foreign = (): Error =>
  runInNewContext(
    `Object.assign(new TypeError('no file with sk_live_1'), { code: 'ENOENT', command: ['SET', 'mail'] })`,
  );
const FACTS = { name: 'TypeError', code: 'ENOENT', message: 'no file with sk_[redacted]' };

describe('an error of another realm', () => {
  it('is told in the log as any other: by its name, code and message, and nothing else of it', () => {
    expect(redact(foreign())).toEqual(FACTS);
    expect(redact(new Error('outer', { cause: foreign() }))).toMatchObject({ cause: FACTS });
    expect(describeFailure(foreign())).toEqual({ error: FACTS });
    expect(describeError(foreign())).toMatchObject({
      error: FACTS,
      stack: expect.stringContaining('no file with sk_[redacted]'),
    });
  });

  it('of a class that is no native error, as those of a time-out or an abort are, too', () => {
    const said = { name: 'TimeoutError', message: 'The operation was aborted due to timeout' };
    expect(redact(Object.create({ ...said, stack: 'TimeoutError: at' }))).toEqual(said);
  });

  it('is named where a listener fails with it', () => {
    const said: unknown[] = [];
    const silent = () => undefined;
    const logger = {
      debug: silent,
      info: silent,
      warn: silent,
      error: (_: string, facts?: object) => void said.push(facts),
    };
    const notices = createNotices({ logger });
    notices.on('invoice.paid', () => {
      throw foreign();
    });
    notices.tell('invoice.paid', { org: 'acme', provider: 'sandbox', subscriptionId: 'sub_1' });
    expect(said).toMatchObject([{ notice: 'invoice.paid', org: 'acme', error: { name: 'TypeError' } }]);
  });
});

describe('what cannot be looked at', () => {
  const fails = () => {
    throw new Error('a trap');
  };
  const revoked = () => {
    const { proxy, revoke } = Proxy.revocable({}, {});
    revoke();
    return proxy;
  };
  const withGetter = (name: string) => Object.defineProperty(new Error('no file'), name, { get: fails });
  const trapped = () =>
    new Proxy(new Error('no file'), { get: fails, has: fails, getPrototypeOf: fails, ownKeys: fails });

  const kinds: readonly (readonly [string, () => unknown])[] = [
    ['a revoked proxy', revoked],
    ['a proxy whose traps throw', trapped],
    ...['name', 'message', 'stack', 'code', 'cause'].map(
      (name) => [`an error whose ${name} throws`, () => withGetter(name)] as const,
    ),
    ['a cause of it', () => new TollgateError('provider_error', { cause: revoked() })],
  ];

  it.each(kinds)('is told in the log all the same: %s', (_what, thrown) => {
    const error = thrown();
    for (const describe of [redact, describeError, describeFailure])
      expect(JSON.stringify(describe(error))).toMatch(/unreadable|thrown object|no file/);
  });

  it('is answered as any failure of the host, by a guard', async () => {
    const logged: string[] = [];
    const silent = () => undefined;
    const billing = createBilling({
      quotas: { devices: capacity() },
      tiers: [
        { slug: 'free', name: 'Free', isDefaultForPersonal: true, sortOrder: 1, limits: { devices: 3 } },
      ],
      inventory: { count: async () => 0, list: async function* () {}, find: async () => null },
      access: () => null,
      org: () => {
        throw revoked();
      },
      provider: null,
      logger: { debug: silent, info: silent, warn: silent, error: (message) => void logged.push(message) },
    });
    const request = { header: () => undefined } as unknown as HttpRequest;
    const guard = createGuard<object, string>('devices', { billing });
    const entered = await guard({ request: () => request, native: {}, passage: () => undefined });
    expect(entered).toMatchObject({ admitted: false, reply: { status: 500 } });
    expect(logged).toEqual(['a quota guard failed']);
  });

  it('leaves the rest of what is logged readable', () => {
    const facts = {
      org: 'acme',
      row: Object.defineProperty({ id: 7 }, 'boom', { get: fails, enumerable: true }),
    };
    expect(redact(facts)).toEqual({ org: 'acme', row: { id: 7, boom: '[unreadable]' } });
  });
});
