import { runInNewContext } from 'node:vm';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { capacity, metered } from '../catalog/quota.ts';
import { createBilling } from '../create-billing.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import { engineOf } from '../http/engine.ts';
import type { BillingOptions } from '../options.ts';
import type { HttpRequest } from '../ports/http-message.ts';
import type { ReservationHandle } from '../quota/types.ts';
import { createFriction } from './friction.ts';
import { createGuard, createRelease } from './guard.ts';

function engine(now = () => Date.now(), org?: BillingOptions['org'], key = 'devices') {
  const warnings: string[] = [];
  const facts: unknown[] = [];
  const counted: string[] = [];
  const billing = createBilling({
    quotas: { [key]: capacity() },
    tiers: [{ slug: 'free', name: 'Free', isDefaultForPersonal: true, sortOrder: 1, limits: { [key]: 3 } }],
    inventory: { count: async () => 0, list: async function* () {}, find: async () => null },
    access: () => null,
    provider: null,
    ...(org === undefined ? {} : { org }),
    clock: { now },
    telemetry: { count: (name) => void counted.push(name) },
    logger: {
      debug: () => undefined,
      info: () => undefined,
      warn: (message, told) => {
        warnings.push(message);
        facts.push(told);
      },
      error: (message) => warnings.push(message),
    },
  });
  return { billing, warnings, facts, counted };
}

const request = () => ({ header: () => undefined }) as unknown as HttpRequest;
const enter = (guard: ReturnType<typeof createGuard>) =>
  guard({ request, native: {}, passage: () => undefined });

describe('a guard', () => {
  it('that finds no engine rejects, for its adapter to pass on', async () => {
    await expect(enter(createGuard('devices', { org: 'acme' }))).rejects.toMatchObject({
      code: 'invalid_configuration',
    });
  });

  it('whose key is among its options heeds those that are given beside them too', async () => {
    const { billing } = engine();
    const keyed = { key: 'devices' } as const;
    const entered = await enter(createGuard<object, string>(keyed, { billing, org: 'acme' }));
    expect(entered).toMatchObject({ admitted: true });
    const own = { ...keyed, org: 'globex' };
    expect(await enter(createGuard<object, string>(own, { billing, org: 'acme' }))).toMatchObject({
      reservation: { org: 'globex' },
    });
    // Without a type checker, or with its defaults, an option that is left open may be there as undefined.
    const open = { ...keyed, org: undefined, billing: undefined } as unknown as typeof keyed;
    expect(await enter(createGuard<object, string>(open, { billing, org: 'acme' }))).toMatchObject({
      admitted: true,
    });
    expect(() => createGuard<object, string>(keyed, { onStoreError: 'opne' as 'open' })).toThrow(
      /onStoreError: is not one of/,
    );
  });

  it.each([[undefined], [null], [7], [''], [[]], [['devices', null]], [[{ amount: 2 }]], [{}]])(
    'that is given no quota key is refused when it is made: %j',
    (none) => {
      const noKey = {
        code: 'invalid_configuration',
        message: expect.stringMatching(/key: is no quota key\. Name/),
      };
      const made = (make: () => unknown) => {
        try {
          return make();
        } catch (error) {
          return error;
        }
      };
      expect(made(() => createGuard(none as never))).toMatchObject(noKey);
      expect(made(() => createGuard({ key: none as never }))).toMatchObject(noKey);
      expect(made(() => createRelease(none as never))).toMatchObject(noKey);
      expect(made(() => createFriction(none as never))).toMatchObject(noKey);
    },
  );

  it('that is given null for its options has none', () => {
    expect(createGuard('devices', null as never)).toBeTypeOf('function');
    expect(createRelease('devices', null)).toBeTypeOf('function');
    expect(createFriction('devices', null)).toBeTypeOf('function');
  });

  it.each([[() => undefined], ['acme'], [[]], [7]])(
    'that is given %j for its options is not made',
    (given) => {
      const refused = expect.objectContaining({
        code: 'invalid_configuration',
        message: expect.stringMatching(/options: are no object/),
      });
      expect(() => createGuard('devices', given as never)).toThrow(refused);
      expect(() => createGuard({ key: 'devices' }, given as never)).toThrow(refused);
      expect(() => createRelease('devices', given as never)).toThrow(refused);
      expect(() => createFriction('devices', given as never)).toThrow(refused);
    },
  );

  it.each([
    ['devcies', /"devcies"/],
    [['devices', { key: 'devcies' }], /"devcies"/],
  ])('takes the wrong keys %j of a route for a fault of the host, and says which', async (keys, fault) => {
    const { billing, warnings } = engine();
    const entered = await enter(createGuard(keys as string, { billing, org: 'acme' }));
    expect(entered).toMatchObject({ admitted: false, reply: { status: 500 } });
    expect(JSON.parse(entered.admitted ? '{}' : entered.reply.body)).toMatchObject({
      error_code: 'invalid_configuration',
      message: expect.stringMatching(fault),
    });
    expect(warnings).toHaveLength(1);
  });

  it('takes a key that an engine does not have for a fault of the host, though another one of its engines has it', async () => {
    const guard = createGuard('devices', { org: 'acme' });
    const statusOn = async ({ billing }: ReturnType<typeof engine>) => {
      const passage = { engine: engineOf(billing), basePath: '' };
      const entered = await guard({ request, native: {}, passage: () => passage });
      return entered.admitted ? 200 : entered.reply.status;
    };
    expect(await statusOn(engine())).toBe(200);
    expect(await statusOn(engine(undefined, undefined, 'zones'))).toBe(500);
  });

  it.each([
    [{ idempotencykey: () => 'k' }, /idempotencykey: is not an option/],
    [{ onStoreError: 'opne' }, /onStoreError: is not one of/],
    [{ onFailure: 'keep' }, /onFailure: is not one of/],
    [{ deniedStatus: 404 }, /deniedStatus: is not one of/],
    [{ deniedStatus: () => 402 }, /deniedStatus: is not one of/],
    [{ amount: 0 }, /amount: is no whole number from 1/],
    [{ amount: '2' }, /amount: is no whole number from 1/],
    [{ org: '' }, /org: is no text/],
    [{ scope: 7 }, /scope: is no text/],
    [{ idempotencyKey: 'k' }, /idempotencyKey: is no function/],
    [{ billing: 5 }, /billing: is no engine/],
    [{ billing: null }, /billing: is no engine/],
    [{ billing: {} }, /billing: is no engine/],
  ])('with a fault in its options %j is not made', (options, fault) => {
    const refused = expect.objectContaining({
      code: 'invalid_configuration',
      message: expect.stringMatching(fault),
    });
    expect(() => createGuard('devices', options as object)).toThrow(refused);
    expect(() => createGuard({ key: 'devices', ...(options as object) })).toThrow(refused);
  });

  it.each([
    [{ key: 'devices', amount: 1.5 }, /amount of devices: is no whole number from 1/],
    [{ key: 'devices', amount: () => 2 }, /amount of devices: is no whole number from 1/],
    [{ key: 'devices', amonut: 2 }, /amonut of devices: is not an option/],
  ])('with a fault in what it charges %j is not made', (charge, fault) => {
    const refused = expect.objectContaining({
      code: 'invalid_configuration',
      message: expect.stringMatching(fault),
    });
    expect(() => createGuard(['devices', charge as { key: string }])).toThrow(refused);
    expect(() => createGuard({ key: [charge as { key: string }] })).toThrow(refused);
  });

  it.each([{ idempotencykey: 'k' }, { idempotencyKey: 'k' }, { billing: {} }, { amount: 0 }])(
    'of a delete is not made with %j: an option it does not know, or a value it cannot have',
    (options) => {
      expect(() => createRelease('devices', options as object)).toThrow(
        expect.objectContaining({ code: 'invalid_configuration' }),
      );
    },
  );

  it.each([
    [{ maxDelay: 100 }, /maxDelay: is not an option/],
    [{ maxDelayMs: -1 }, /maxDelayMs: is not a number/],
    [{ maxDelayMs: '1s' }, /maxDelayMs: is not a number/],
    [{ isExempt: 'no' }, /isExempt: is neither/],
    [{ billing: {} }, /billing: is no engine/],
  ])('of friction with a fault in its options %j is not made', (options, fault) => {
    expect(() => createFriction('devices', options as object)).toThrow(
      expect.objectContaining({ code: 'invalid_configuration', message: expect.stringMatching(fault) }),
    );
    expect(() => createFriction('devices', { maxDelayMs: 0, isExempt: () => false })).not.toThrow();
  });

  it('takes an unknown key that came with the request for a fault of the client', async () => {
    const { billing } = engine();
    const entered = await enter(createGuard({ key: () => 'nothing', billing, org: 'acme' }));
    expect(entered).toMatchObject({ admitted: false, reply: { status: 400 } });
  });

  it('counts each session by itself where the request tells its `scope` alone', async () => {
    const billing = createBilling({
      quotas: { prompts: metered({ periods: ['per_session'] }) },
      tiers: [
        {
          slug: 'free',
          name: 'Free',
          isDefaultForPersonal: true,
          sortOrder: 1,
          limits: { prompts: { per_session: 1 } },
        },
      ],
      inventory: { count: async () => 0, list: async function* () {}, find: async () => null },
      access: () => null,
      provider: null,
    });
    const guard = createGuard<{ session: string }, 'prompts'>('prompts', {
      billing,
      org: 'acme',
      scope: ({ session }) => session,
    });
    const isAdmitted = async (session: string) =>
      (await guard({ request, native: { session }, passage: () => undefined })).admitted;
    expect(await isAdmitted('s1')).toBe(true);
    expect(await isAdmitted('s2')).toBe(true);
    expect(await isAdmitted('s1')).toBe(false);
  });

  it.each(['', undefined, null])(
    'charges nobody when its own `org` answers %j, nor whom the engine would find',
    async (nobody) => {
      const { billing } = engine(undefined, () => 'globex');
      const entered = await enter(createGuard('devices', { billing, org: () => nobody as string }));
      expect(entered).toMatchObject({ admitted: false, reply: { status: 401 } });
    },
  );

  it.each<[string, object]>([
    ['finds no engine', { billing: undefined }],
    ['refuses', { amount: 9 }],
    ['cannot decide', { amount: () => Promise.reject(new TollgateError('quota_unavailable')) }],
  ])(
    'that %s has the guards before it give back what they took, unless it is answered all the same',
    async (_how, options) => {
      const { billing } = engine();
      for (const [ending, settled] of [
        ['unseen', 'released'],
        ['failed', 'released'],
        [{ status: 503 }, 'released'],
        [{ status: 201 }, 'committed'],
      ] as const) {
        const guarded = { request, native: {}, passage: () => undefined };
        const before = await createGuard('devices', { billing, org: 'acme' })(guarded);
        if (!before.admitted) throw new Error('there was no room');
        await createGuard('devices', { billing, org: 'acme', ...options })(guarded).catch(() => undefined);
        before.leave(ending);
        expect(await before.reservation.abandon(), JSON.stringify(ending)).toBe(settled);
      }
    },
  );

  it('answers an error, and no more comes of it, when several of its option functions fail', async () => {
    const { billing } = engine();
    const unhandled = vi.fn();
    process.once('unhandledRejection', unhandled);
    onTestFinished(() => void process.off('unhandledRejection', unhandled));
    const org = () => Promise.reject(new Error('no session'));
    const amount = () => {
      throw new Error('no body');
    };
    const entered = await enter(createGuard('devices', { billing, org, amount }));
    await new Promise((resolve) => setImmediate(resolve));
    expect(entered).toMatchObject({ admitted: false, reply: { status: 500 } });
    expect(unhandled).not.toHaveBeenCalled();
  });

  it('decides where the host has replaced `Promise`, as zone.js and Bluebird do', async () => {
    // What an `async` function answers is not of this class.
    vi.stubGlobal('Promise', class extends Promise<unknown> {});
    onTestFinished(() => void vi.unstubAllGlobals());
    const { billing } = engine();
    const guard = createGuard('devices', { billing, org: 'acme', amount: async () => 2 });
    expect(await enter(guard)).toMatchObject({ admitted: true });
    expect(await enter(guard)).toMatchObject({ admitted: false, reply: { status: 429 } });
  });

  it('waits for whatever can be awaited, as query builders are, and not for promises alone', async () => {
    const { billing } = engine();
    // No instance of our `Promise`.
    const Foreign: PromiseConstructor = runInNewContext('Promise');
    const later = <T>(value: T) => Foreign.resolve(value);
    const options = { billing, amount: () => later(2), idempotencyKey: () => later('k') };
    const entered = await enter(createGuard('devices', { ...options, org: () => later('acme') }));
    expect(entered).toMatchObject({ admitted: true, reservation: { org: 'acme' } });
    const lookedUp = engine(undefined, () => later('globex'));
    for (const others of [options, {}]) {
      const found = await enter(createGuard('devices', { ...others, billing: lookedUp.billing }));
      expect(found).toMatchObject({ admitted: true, reservation: { org: 'globex' } });
    }
  });

  it('tells the handler of a create that was committed before', async () => {
    const { billing } = engine();
    const guard = createGuard('devices', { billing, org: 'acme', idempotencyKey: () => 'k' });
    const first = await enter(guard);
    if (!first.admitted) throw new Error('the first create was refused');
    await first.reservation.commit();
    const again = await enter(guard);
    expect(first.reservation.repeated).toBe(false);
    expect(again).toMatchObject({ admitted: true, reservation: { repeated: true } });
  });

  it.each(['attachReservation', 'keepReservation'] as const)(
    'is known by its reservation to another copy of the package: %s',
    async (how) => {
      const native = {};
      const reservation = { id: 'a' } as ReservationHandle;
      const ours = await import('./reservation-of.ts');
      ours[how](native, reservation);
      vi.resetModules();
      const copy = await import('./reservation-of.ts');
      expect(copy.reservationOf).not.toBe(ours.reservationOf);
      expect(copy.reservationOf(native)).toBe(reservation);
    },
  );

  it.each([undefined, '', null])(
    'takes %j for no idempotency key, at a delete as at a create',
    async (key) => {
      const { billing, warnings } = engine();
      const options = { billing, org: 'acme', idempotencyKey: () => key as string };
      const given: unknown[] = [];
      const release = vi.spyOn(billing, 'release').mockImplementation(async (asked) => {
        given.push(asked);
      });
      expect(await enter(createGuard('devices', options))).toMatchObject({ admitted: true });
      await createRelease('devices', options)({ request, native: {}, passage: () => undefined })();
      expect(given).toEqual([{ org: 'acme', key: 'devices' }]);
      expect(warnings).toEqual([]);
      release.mockRestore();
    },
  );

  it.each<[string, object]>([
    ['values', { amount: 3, scope: 's1' }],
    ['functions of the request', { amount: () => 3, scope: () => 's1' }],
  ])(
    'charges named keys by `amount` and `scope`, and spelt-out ones as they are spelt: %s',
    async (_how, given) => {
      const { billing } = engine();
      const reserve = vi.spyOn(billing, 'reserve').mockRejectedValue(new TollgateError('quota_unavailable'));
      const keys = ['devices', { key: 'devices', amount: 2 }, { key: 'devices' }];
      await enter(createGuard<object, string>(keys, { billing, org: 'acme', ...given }));
      expect(reserve.mock.lastCall?.[0].charges).toEqual([
        { key: 'devices', amount: 3, session: 's1' },
        { key: 'devices', amount: 2 },
        { key: 'devices' },
      ]);
    },
  );

  it('keeps the lease of its handler alive', async () => {
    const { billing } = engine();
    const keepAlive = vi.fn();
    const reservation = { keepAlive } as unknown as ReservationHandle;
    const admission = {
      admitted: true,
      reservation,
      quotas: [],
      decidedBy: 'store',
      repeated: false,
    } as const;
    vi.spyOn(billing, 'reserve').mockResolvedValue(admission);
    await enter(createGuard('devices', { billing, org: 'acme' }));
    expect(keepAlive).toHaveBeenCalledOnce();
  });

  it('lets the lease of a handler whose end nobody saw run out', async () => {
    const { billing } = engine();
    const entered = await enter(createGuard('devices', { billing, org: 'acme' }));
    if (!entered.admitted) throw new Error('It was refused.');
    const letLapse = vi.spyOn(entered.reservation, 'letLapse');
    entered.leave('unseen');
    expect(letLapse).toHaveBeenCalledOnce();
  });

  it('names those keys alone that were full', async () => {
    const { billing } = engine();
    const [full, free] = ['devices', 'zones'].map((key, i) => ({
      key,
      period: 'lifetime' as const,
      unit: 'count' as const,
      window: { label: 'lifetime', startsAt: null, endsAt: null },
      limit: { value: 3, source: { kind: 'default' as const } },
      remaining: i,
    }));
    if (full === undefined || free === undefined) throw new Error('there are two');
    const admission = { admitted: false, denied: [full], quotas: [full, free] } as const;
    vi.spyOn(billing, 'reserve').mockResolvedValue(admission);
    const entered = await enter(createGuard('devices', { billing, org: 'acme' }));
    const message = entered.admitted ? '' : JSON.parse(entered.reply.body).message;
    expect(message).toContain('devices');
    expect(message).not.toContain('zones');
  });

  it('of a delete gives back what its options say', async () => {
    const { billing } = engine();
    const release = vi.spyOn(billing, 'release').mockResolvedValue();
    const options = { billing, org: 'acme', amount: () => 2, scope: () => 's1' };
    await createRelease('devices', options)({ request, native: {}, passage: () => undefined })();
    expect(release).toHaveBeenCalledExactlyOnceWith({
      org: 'acme',
      key: 'devices',
      amount: 2,
      session: 's1',
    });
  });

  it('of a delete that could not be reported fails nothing, whether its handler ends or not, and the metrics tell', async () => {
    const unhandled = vi.fn();
    process.once('unhandledRejection', unhandled);
    onTestFinished(() => void process.off('unhandledRejection', unhandled));
    const { billing, counted } = engine();
    const org = () => Promise.reject(new Error('no session'));
    const reported = createRelease('devices', { billing, org })({
      request,
      native: {},
      passage: () => undefined,
    });
    await new Promise((resolve) => setImmediate(resolve));
    expect(unhandled).not.toHaveBeenCalled();
    expect(counted).toEqual([]);
    await reported();
    expect(counted).toEqual(['tollgate.unreleased']);
  });

  it('of deletes that could not be reported says now and again whose, and not for each', async () => {
    const { billing, counted, facts } = engine();
    vi.spyOn(billing, 'release').mockRejectedValue(
      new TollgateError('quota_unavailable', { cause: new Error('Redis did not answer') }),
    );
    const release = createRelease('devices', { billing, org: 'acme' });
    for (let times = 0; times < 3; times += 1)
      await release({ request, native: {}, passage: () => undefined })();
    expect(counted).toHaveLength(3);
    const cause = { name: 'Error', message: 'Redis did not answer' };
    expect(facts).toEqual([{ key: 'devices', org: 'acme', code: 'quota_unavailable', cause, failures: 1 }]);
  });

  it("holds the limit of an override until the millisecond it ends, and the plan's from then on (Q12)", async () => {
    let now = Date.UTC(2026, 3, 9);
    const { billing } = engine(() => now);
    const endsAt = now + 1_000;
    await billing.setOverride({
      actor: 'operator',
      subjectType: 'org',
      subjectId: 'acme',
      key: 'devices',
      limit: 5,
      expiresAt: endsAt,
    });
    const guard = createGuard('devices', { billing, org: 'acme' });
    const limit = async () => {
      const entered = await enter(guard);
      if (!entered.admitted) throw new Error('a create was refused');
      await entered.reservation.release();
      return entered.headers['RateLimit-Policy'];
    };
    const limits = [];
    for (now of [endsAt - 1_000, endsAt - 1, endsAt, endsAt - 1]) limits.push(await limit());
    expect(limits).toEqual(['"devices";q=5', '"devices";q=5', '"devices";q=3', '"devices";q=5']);
  });
});
