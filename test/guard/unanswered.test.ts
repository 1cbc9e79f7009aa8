import { IncomingMessage, type ServerResponse } from 'node:http';
import { createServer as createHttp2Server, connect as http2Connect } from 'node:http2';
import { type AddressInfo, connect, Socket } from 'node:net';
import { Router } from '@koa/router';
import { capacity, createBilling } from '@tollgate/core';
import { billingRouter, requireQuota } from '@tollgate/koa';
import Koa from 'koa';
import Koa2 from 'koa2';
import request from 'supertest';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { listen, unlisten } from '../http/listen.ts';
import { gate, guardScene } from './guard-scene.ts';

it('a Koa handler that writes its row and forgets to answer cannot pass the limit', async () => {
  let rows = 0;
  const billing = createBilling({
    quotas: { devices: capacity() },
    tiers: [{ slug: 'free', name: 'Free', isDefaultForPersonal: true, sortOrder: 1, limits: { devices: 3 } }],
    inventory: { count: async () => rows, list: async function* () {}, find: async () => null },
    access: () => null,
    provider: null,
    org: () => 'acme',
  });
  const router = new Router();
  router.post('/devices', requireQuota('devices'), () => {
    rows += 1;
  });
  const app = new Koa().use(billingRouter(billing)).use(router.routes());
  const statuses: number[] = [];
  for (let n = 0; n < 5; n++) statuses.push((await request(app.callback()).post('/devices')).status);
  expect(statuses).toEqual([404, 404, 404, 429, 429]);
  expect(rows).toBe(3);
  await billing.close();
});

describe.each([
  ['Koa 2', Koa2 as unknown as typeof Koa],
  ['Koa 3', Koa],
])('on %s', (_name, KoaOf) => {
  const FREE = { committed: 0, held: 0, uncertain: 0 };
  const UNCERTAIN = { committed: 0, held: 0, uncertain: 1 };
  const sets = (status: number) => (ctx: Koa.Context) => {
    ctx.status = status;
  };
  const nothing = () => {};

  it.each<[string, (ctx: Koa.Context) => void, (ctx: Koa.Context) => void, object]>([
    ['a 404 without a body that the handler set gives units back', nothing, sets(404), FREE],
    ['a 404 that nobody set leaves them uncertain', nothing, nothing, UNCERTAIN],
    ['a 404 set before the guard tells nothing of the handler', sets(404), nothing, UNCERTAIN],
    ['the handler counts though another status was set before', sets(500), sets(404), FREE],
  ])('%s', async (_what, before, handler, expected) => {
    const host = guardScene({ devices: 1 });
    const app = new KoaOf()
      .use((ctx, next) => {
        before(ctx);
        return next();
      })
      .use(requireQuota('devices', { billing: host.billing }))
      .use(handler);
    expect((await request(app.callback()).post('/things')).status).toBe(404);
    await host.settles('devices', expected);
    await host.billing.close();
  });

  /** A time-out that answers 408 when it is let, and how. */
  type Impatience = (late: Promise<void>) => Koa.Middleware;
  const gone = Symbol('late');
  const race = (next: Koa.Next, late: Promise<void>) => Promise.race([next(), late.then(() => gone)]);
  const answers: Impatience = (late) => async (ctx, next) => {
    if ((await race(next, late)) === gone) ctx.status = 408;
  };
  const throws: Impatience = (late) => async (ctx, next) => {
    if ((await race(next, late)) === gone) ctx.throw(408);
  };

  it.each([
    ['answers 408 before the guard', answers, 'before'],
    ['throws 408 before the guard', throws, 'before'],
    ['answers 408 behind the guard', answers, 'behind'],
    ['throws 408 behind the guard', throws, 'behind'],
  ])(
    'a time-out that %s gives nothing back: its handler creates all the same (T24)',
    async (_what, impatience, place) => {
      const host = guardScene({ devices: 1 });
      const began = gate();
      const late = gate();
      const finish = gate();
      const guard = requireQuota('devices', { billing: host.billing });
      const timeout = impatience(late.opened);
      const app = new KoaOf();
      app.silent = true;
      for (const one of place === 'before' ? [timeout, guard] : [guard, timeout]) app.use(one);
      app.use(async (ctx) => {
        began.open();
        await finish.opened;
        host.add('devices');
        ctx.status = 201;
      });
      const posted = request(app.callback()).post('/things').then();
      await began.opened;
      late.open();
      expect((await posted).status).toBe(408);
      finish.open();
      await host.settles('devices', UNCERTAIN);
      const other = await host.billing.reserve({ org: 'acme', charges: [{ key: 'devices' }] });
      expect(other.admitted).toBe(false);
      await host.billing.close();
    },
  );

  it.each([
    [201, { committed: 1, held: 0, uncertain: 0 }],
    [409, FREE],
    [500, UNCERTAIN],
  ])(
    'a handler that answers %i by itself and never returns, as wrapped Express middleware does, is over',
    async (status, expected) => {
      const host = guardScene({ devices: 1 });
      const app = new KoaOf().use(requireQuota('devices', { billing: host.billing })).use((ctx) => {
        ctx.res.writeHead(status).end();
        return new Promise(() => {});
      });
      expect((await request(app.callback()).post('/things')).status).toBe(status);
      await host.settles('devices', expected);
      await host.billing.close();
    },
  );

  it.each<[string, (res: ServerResponse) => void]>([
    ['answers 404, as Koa may', (res) => res.writeHead(404).end()],
    ...[408, 499, 503, 504].map((status): [string, (res: ServerResponse) => void] => [
      `answers ${status}, as a time-out may,`,
      (res) => res.writeHead(status).end(),
    ]),
    ['has begun its answer when its client goes away', (res) => res.writeHead(201).write('begun')],
  ])('such a handler that %s holds its units for a lease', async (_what, answer) => {
    fakeIntervals();
    const leaseMs = 1_000;
    const host = guardScene({ devices: 1 }, { leaseMs });
    const closed = gate();
    const app = new KoaOf().use(requireQuota('devices', { billing: host.billing })).use((ctx) => {
      ctx.res.on('close', closed.open);
      answer(ctx.res);
      return new Promise(() => {});
    });
    const server = await listen(app.callback(), '');
    onTestFinished(async () => {
      await unlisten(server);
      await host.billing.close();
    });
    const client = new AbortController();
    await fetch(`http://127.0.0.1:${server.port}/things`, { method: 'POST', signal: client.signal });
    client.abort();
    await closed.opened;
    expect(await host.reading('devices')).toEqual({ committed: 0, held: 1, uncertain: 0 });
    await passLeases(host.clock, leaseMs);
    await host.settles('devices', UNCERTAIN);
  });

  it.each<[string, boolean, object]>([
    [
      'leaves its answer to Koa keeps its units until then: it may create all the same (Q6)',
      true,
      { held: 1 },
    ],
    ['answers by itself, as wrapped Express middleware does, holds them for a lease', false, UNCERTAIN],
  ])('a handler that does not return once its client went away and %s', async (_what, respond, expected) => {
    fakeIntervals();
    const leaseMs = 1_000;
    const host = guardScene({ devices: 1 }, { leaseMs });
    const began = gate();
    const closed = gate();
    const app = new KoaOf().use(requireQuota('devices', { billing: host.billing })).use((ctx) => {
      ctx.respond = respond;
      ctx.res.on('close', closed.open);
      began.open();
      return new Promise(() => {});
    });
    const server = await listen(app.callback(), '');
    onTestFinished(async () => {
      await unlisten(server);
      await host.billing.close();
    });
    const client = new AbortController();
    const url = `http://127.0.0.1:${server.port}/things`;
    const posted = fetch(url, { method: 'POST', signal: client.signal }).catch(() => 'gone');
    await began.opened;
    client.abort();
    expect(await posted).toBe('gone');
    await closed.opened;
    expect(await host.reading('devices')).toEqual({ committed: 0, held: 1, uncertain: 0 });
    await passLeases(host.clock, leaseMs);
    await host.settles('devices', expected);
  });

  it.each([
    [201, false, { committed: 1, held: 0, uncertain: 0 }],
    [201, true, { committed: 1, held: 0, uncertain: 0 }],
    [409, false, FREE],
    [409, true, FREE],
    [504, false, UNCERTAIN],
  ])(
    'one that answers %i by itself after its client went away is settled by that (`respond` is %s)',
    async (status, respond, expected) => {
      const host = guardScene({ devices: 1 }, { leaseMs: 1_000 });
      const began = gate();
      const closed = gate();
      const go = gate();
      const app = new KoaOf().use(requireQuota('devices', { billing: host.billing })).use(async (ctx) => {
        ctx.respond = respond;
        ctx.res.on('close', closed.open);
        began.open();
        await go.opened;
        ctx.res.writeHead(status).end();
        return new Promise(() => {});
      });
      const server = await listen(app.callback(), '');
      onTestFinished(async () => {
        await unlisten(server);
        await host.billing.close();
      });
      const client = new AbortController();
      const url = `http://127.0.0.1:${server.port}/things`;
      const posted = fetch(url, { method: 'POST', signal: client.signal }).catch(() => 'gone');
      await began.opened;
      client.abort();
      expect(await posted).toBe('gone');
      await closed.opened;
      go.open();
      if (status === 504) host.clock.advance(1_000);
      await host.settles('devices', expected);
    },
  );

  it.each([
    // As nginx logs it.
    ['throws', 499],
    ['answers', 499],
    ['throws', 400],
    ['answers', 400],
  ])(
    'what is answered through Koa once the client went away gives nothing back while the handler runs, or when it %s (%i, Q6)',
    async (how, status) => {
      const host = guardScene({ devices: 1 });
      const began = gate();
      const closed = gate();
      const ended = gate();
      const finish = gate();
      const app = new KoaOf()
        .use(async (ctx, next) => {
          ctx.res.on('close', closed.open);
          await Promise.race([next(), closed.opened]);
          ctx.status = status;
          setImmediate(ended.open);
        })
        .use(requireQuota('devices', { billing: host.billing }))
        .use(async (ctx) => {
          began.open();
          await finish.opened;
          if (how === 'throws') throw new Error('broken');
          ctx.status = 201;
        });
      app.silent = true;
      onTestFinished(() => host.billing.close());
      const leave = (await overHttp1(app))();
      await began.opened;
      leave();
      await ended.opened;
      await new Promise((resolve) => setImmediate(resolve));
      expect(await host.reading('devices')).toEqual({ committed: 0, held: 1, uncertain: 0 });
      finish.open();
      // Koa 3 has sent it by then, and takes no other status.
      await vi.waitFor(async () => {
        const { committed, held, uncertain } = await host.reading('devices');
        expect({ counted: committed + uncertain, held }).toEqual({ counted: 1, held: 0 });
      });
    },
  );

  it('a 4xx that was answered in its stead gives nothing back where the handler then creates and answers by itself (Q6)', async () => {
    const host = guardScene({ devices: 1 });
    const began = gate();
    const finish = gate();
    const app = new KoaOf()
      .use(async (ctx, next) => {
        await Promise.race([next(), began.opened]);
        ctx.status = 400;
      })
      .use(requireQuota('devices', { billing: host.billing }))
      .use(async (ctx) => {
        setImmediate(began.open);
        await finish.opened;
        ctx.respond = false;
        ctx.status = 201;
        ctx.res.end('made');
      });
    onTestFinished(() => host.billing.close());
    expect((await request(app.callback()).post('/things').timeout(5_000)).status).toBe(400);
    finish.open();
    await host.settles('devices', UNCERTAIN);
  });

  it('an answer that was over before the handler began is not its own (Q6)', async () => {
    const host = guardScene({ devices: 1 });
    const began = gate();
    const finish = gate();
    const app = new KoaOf()
      .use(async (ctx, next) => {
        ctx.respond = false;
        const closed = new Promise((resolve) => ctx.res.on('close', resolve));
        ctx.res.writeHead(400).end();
        await closed;
        return next();
      })
      .use(requireQuota('devices', { billing: host.billing }))
      .use(async () => {
        began.open();
        await finish.opened;
        throw new Error('broken');
      });
    app.silent = true;
    onTestFinished(() => host.billing.close());
    (await overHttp1(app))();
    await began.opened;
    await new Promise((resolve) => setImmediate(resolve));
    expect(await host.reading('devices')).toEqual({ committed: 0, held: 1, uncertain: 0 });
    finish.open();
    await host.settles('devices', UNCERTAIN);
  });

  it.each<[string, PropertyDescriptor]>([
    ['that cannot be replaced', { value: undefined, writable: true, configurable: false }],
    [
      'with a setter',
      {
        configurable: true,
        get(this: { own?: boolean }) {
          return this.own;
        },
        set(this: { own?: boolean }, value: boolean) {
          this.own = value;
        },
      },
    ],
  ])('a `respond` of the host %s is left to it when a client goes away', async (_what, respond) => {
    const host = guardScene({ devices: 1 });
    const began = gate();
    const closed = gate();
    const finish = gate();
    let own: unknown;
    const app = new KoaOf().use(requireQuota('devices', { billing: host.billing })).use(async (ctx) => {
      Object.defineProperty(ctx, 'respond', respond);
      ctx.res.on('close', closed.open);
      began.open();
      await finish.opened;
      ctx.respond = true;
      own = 'set' in respond ? ctx.own : ctx.respond;
      ctx.status = 201;
    });
    onTestFinished(() => host.billing.close());
    const leave = (await overHttp1(app))();
    await began.opened;
    leave();
    await closed.opened;
    finish.open();
    await host.settles('devices', { committed: 1, held: 0, uncertain: 0 });
    expect(own).toBe(true);
  });

  it('so does one that says that it answers by itself only after its client went away, behind several guards', async () => {
    fakeIntervals();
    const leaseMs = 1_000;
    const host = guardScene({ devices: 1, zones: 1 }, { leaseMs });
    const asked = gate();
    const decide = gate();
    const closed = gate();
    const began = gate();
    const app = new KoaOf()
      .use(requireQuota('devices', { billing: host.billing }))
      .use(requireQuota('zones', { billing: host.billing }))
      .use(async (ctx) => {
        ctx.res.on('close', closed.open);
        asked.open();
        await decide.opened;
        ctx.respond = false;
        began.open();
        return new Promise(() => {});
      });
    onTestFinished(() => host.billing.close());
    const leave = (await overHttp1(app))();
    await asked.opened;
    leave();
    await closed.opened;
    decide.open();
    await began.opened;
    for (const key of ['devices', 'zones'])
      expect(await host.reading(key)).toEqual({ committed: 0, held: 1, uncertain: 0 });
    await passLeases(host.clock, leaseMs);
    for (const key of ['devices', 'zones']) await host.settles(key, UNCERTAIN);
  });

  it.each(['HTTP/1.1', 'HTTP/2'])(
    'such a handler holds its units for a lease where its client went away while the guard was deciding (%s)',
    async (protocol) => {
      fakeIntervals();
      const leaseMs = 1_000;
      const host = guardScene({ devices: 1 }, { leaseMs });
      const asked = gate();
      const decide = gate();
      const closed = gate();
      const began = gate();
      const org = async () => {
        asked.open();
        await decide.opened;
        return 'acme';
      };
      const app = new KoaOf()
        .use((ctx, next) => {
          ctx.res.on('close', closed.open);
          return next();
        })
        .use(requireQuota('devices', { billing: host.billing, org }))
        .use((ctx) => {
          ctx.respond = false;
          began.open();
          return new Promise(() => {});
        });
      onTestFinished(() => host.billing.close());
      const leave = (protocol === 'HTTP/2' ? await overHttp2(app) : await overHttp1(app))();
      await asked.opened;
      leave();
      await closed.opened;
      decide.open();
      await began.opened;
      expect(await host.reading('devices')).toEqual({ committed: 0, held: 1, uncertain: 0 });
      await passLeases(host.clock, leaseMs);
      await host.settles('devices', UNCERTAIN);
    },
  );

  it.each([
    ['never returns', true],
    ['returned before', false],
  ])(
    'of requests sent ahead on one connection those that wait behind another are over when it closes, too: a handler that answers by itself and %s',
    async (_what, isEndless) => {
      fakeIntervals();
      const leaseMs = 1_000;
      const host = guardScene({ devices: 3 }, { leaseMs });
      const began = gate();
      const closed = gate();
      let running = 0;
      const app = new KoaOf().use(requireQuota('devices', { billing: host.billing })).use((ctx) => {
        ctx.respond = false;
        running += 1;
        if (running === 3) began.open();
        ctx.req.socket.on('close', closed.open);
        return isEndless ? new Promise(() => {}) : undefined;
      });
      const server = await listen(app.callback(), '');
      onTestFinished(async () => {
        await unlisten(server);
        await host.billing.close();
      });
      const client = connect(server.port, '127.0.0.1');
      client.write('POST /things HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n'.repeat(3));
      await began.opened;
      client.destroy();
      await closed.opened;
      expect(await host.reading('devices')).toEqual({ committed: 0, held: 3, uncertain: 0 });
      await passLeases(host.clock, leaseMs);
      await host.settles('devices', { ...UNCERTAIN, uncertain: 3 });
    },
  );

  it.each([
    ['while it runs', 'handler', (ctx: Koa.Context) => ctx.throw(504)],
    ['while what stands before it is at work', 'middleware', sets(503)],
    ['while its guard is deciding', 'guard', sets(503)],
  ])(
    'a handler that answers by itself and never returns holds its units for a lease where a time-out answers %s',
    async (_when, busy, answer) => {
      fakeIntervals();
      const leaseMs = 1_000;
      const host = guardScene({ devices: 1 }, { leaseMs });
      const late = gate();
      const goOn = gate();
      const began = gate();
      const wait = async (who: string) => {
        if (who !== busy) return;
        setImmediate(late.open);
        await goOn.opened;
      };
      const org = async () => {
        await wait('guard');
        return 'acme';
      };
      const app = new KoaOf()
        .use(async (ctx, next) => {
          await Promise.race([next(), late.opened]);
          answer(ctx);
        })
        .use(requireQuota('devices', { billing: host.billing, org }))
        .use(async (ctx) => {
          await wait('middleware');
          ctx.respond = false;
          began.open();
          await wait('handler');
          return new Promise(() => {});
        });
      app.silent = true;
      onTestFinished(() => host.billing.close());
      const answered = await request(app.callback()).post('/things').timeout(5_000);
      expect(answered.status).toBeGreaterThanOrEqual(503);
      goOn.open();
      await began.opened;
      await passLeases(host.clock, leaseMs);
      await host.settles('devices', UNCERTAIN);
    },
  );

  it('a handler that never returns holds its units for a lease where Node answered in its stead while its guard was deciding', async () => {
    fakeIntervals();
    const leaseMs = 1_000;
    const host = guardScene({ devices: 1 }, { leaseMs });
    const goOn = gate();
    const began = gate();
    const org = async () => {
      await goOn.opened;
      return 'acme';
    };
    const app = new KoaOf()
      .use((ctx, next) => {
        // As of a time-out of the server's.
        setImmediate(() => ctx.res.writeHead(503).end());
        return next();
      })
      .use(requireQuota('devices', { billing: host.billing, org }))
      .use(() => {
        began.open();
        return new Promise(() => {});
      });
    onTestFinished(() => host.billing.close());
    expect((await request(app.callback()).post('/things').timeout(5_000)).status).toBe(503);
    goOn.open();
    await began.opened;
    await passLeases(host.clock, leaseMs);
    await host.settles('devices', UNCERTAIN);
  });

  it.each([
    ['has not come whole', 'holds its units for a lease', 'the first half', UNCERTAIN],
    ['has come', 'keeps them while it runs', 'x'.repeat(100), { committed: 0, held: 1, uncertain: 0 }],
  ])(
    'a handler in whose stead a time-out answers while its upload %s %s (T24)',
    async (_what, _then, body, expected) => {
      fakeIntervals();
      const leaseMs = 1_000;
      const host = guardScene({ devices: 1 }, { leaseMs });
      const began = gate();
      const closed = gate();
      const app = new KoaOf()
        .use(async (ctx, next) => {
          ctx.req.socket.on('close', closed.open);
          await Promise.race([next(), began.opened]);
          ctx.status = 503;
        })
        .use(requireQuota('devices', { billing: host.billing }))
        .use(async (ctx) => {
          const read = new Promise((resolve) => ctx.req.resume().on('end', resolve));
          setImmediate(began.open);
          await read;
          return new Promise(() => {});
        });
      const server = await listen(app.callback(), '');
      onTestFinished(async () => {
        await unlisten(server);
        await host.billing.close();
      });
      const client = connect(server.port, '127.0.0.1');
      client.write(`POST /things HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n${body}`);
      await new Promise((resolve) => client.once('data', resolve));
      client.destroy();
      await closed.opened;
      await passLeases(host.clock, leaseMs);
      await host.settles('devices', expected);
    },
  );

  it.each([
    [201, { committed: 1, held: 0, uncertain: 0 }],
    // It may be the answer to an error that somebody threw meanwhile.
    [409, UNCERTAIN],
  ])(
    'one that sets its %i through Koa, answers by itself and never returns is over, too',
    async (status, expected) => {
      const leaseMs = 1_000;
      fakeIntervals();
      const host = guardScene({ devices: 1 }, { leaseMs });
      const app = new KoaOf().use(requireQuota('devices', { billing: host.billing })).use((ctx) => {
        ctx.respond = false;
        ctx.status = status;
        ctx.res.end();
        return new Promise(() => {});
      });
      onTestFinished(() => host.billing.close());
      expect((await request(app.callback()).post('/things')).status).toBe(status);
      if (status === 409) await passLeases(host.clock, leaseMs);
      await host.settles('devices', expected);
    },
  );

  it.each([
    ['in the middle', 100],
    ['before its handler began to read it', 14],
  ])(
    'a handler that waits for the rest of an upload whose client went away %s holds its units for a lease',
    async (_when, length) => {
      fakeIntervals();
      const leaseMs = 1_000;
      const host = guardScene({ devices: 1 }, { leaseMs });
      const began = gate();
      const closed = gate();
      const app = new KoaOf().use(requireQuota('devices', { billing: host.billing })).use(async (ctx) => {
        ctx.res.on('close', closed.open);
        began.open();
        if (length === 14) await closed.opened;
        // A parser that is fed by `pipe` is told of no such end either.
        await new Promise((resolve) => ctx.req.resume().on('end', resolve));
        ctx.status = 201;
      });
      app.silent = true;
      const server = await listen(app.callback(), '');
      onTestFinished(async () => {
        await unlisten(server);
        await host.billing.close();
      });
      const client = connect(server.port, '127.0.0.1');
      client.write(
        `POST /things HTTP/1.1\r\nHost: localhost\r\nContent-Length: ${length}\r\n\r\nthe first half`,
      );
      await began.opened;
      client.destroy();
      await closed.opened;
      expect(await host.reading('devices')).toEqual({ committed: 0, held: 1, uncertain: 0 });
      await passLeases(host.clock, leaseMs);
      await host.settles('devices', UNCERTAIN);
    },
  );

  it.each([
    [undefined, { committed: 1, held: 0, uncertain: 0 }],
    [422, FREE],
    [500, UNCERTAIN],
  ])(
    'a handler that ends after the client of its upload went away is settled by its end (throws %s)',
    async (thrown, expected) => {
      const host = guardScene({ devices: 1 });
      const closed = gate();
      const began = gate();
      const go = gate();
      const app = new KoaOf().use(requireQuota('devices', { billing: host.billing })).use(async (ctx) => {
        ctx.res.on('close', closed.open);
        began.open();
        await go.opened;
        if (thrown !== undefined) ctx.throw(thrown);
        ctx.status = 201;
      });
      app.silent = true;
      const server = await listen(app.callback(), '');
      onTestFinished(async () => {
        await unlisten(server);
        await host.billing.close();
      });
      const client = connect(server.port, '127.0.0.1');
      client.write('POST /things HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\nthe first half');
      await began.opened;
      client.destroy();
      await closed.opened;
      go.open();
      await host.settles('devices', expected);
    },
  );

  it.each([
    ['status', 409],
    ['statusCode', 422],
  ])('an error whose `%s` is %i gives units back: Koa answers it so', async (name, status) => {
    const host = guardScene({ devices: 1 });
    const app = new KoaOf().use(requireQuota('devices', { billing: host.billing })).use(() => {
      throw Object.assign(new Error('taken'), { [name]: status });
    });
    app.silent = true;
    expect((await request(app.callback()).post('/things')).status).toBe(status);
    await host.settles('devices', FREE);
    await host.billing.close();
  });
});

describe.each(['HTTP/1.1', 'HTTP/2'])(
  'a Koa handler that answers by itself after it has returned, over %s,',
  (protocol) => {
    const leaseMs = 1_000;

    /** A route whose handler answers when it is let; `post` sends a request and answers how to go away. */
    async function scene() {
      fakeIntervals();
      const host = guardScene({ devices: 1 }, { leaseMs });
      const returned = gate();
      let answer = (_status: number) => {};
      const app = new Koa().use(requireQuota('devices', { billing: host.billing })).use((ctx) => {
        ctx.respond = false;
        answer = (status) => void ctx.res.writeHead(status).end();
        setImmediate(returned.open);
      });
      const post = protocol === 'HTTP/2' ? await overHttp2(app) : await overHttp1(app);
      onTestFinished(() => host.billing.close());
      const renewing = () => passLeases(host.clock, leaseMs);
      return {
        ...host,
        post,
        returned: returned.opened,
        answer: (status: number) => answer(status),
        renewing,
      };
    }

    it.each([
      [201, { committed: 1, held: 0, uncertain: 0 }],
      [409, { committed: 0, held: 0, uncertain: 0 }],
      [500, { committed: 0, held: 0, uncertain: 1 }],
    ])('holds its units until then, and settles them by its %i', async (status, expected) => {
      const { post, returned, answer, renewing, reading, settles } = await scene();
      post();
      await returned;
      await renewing();
      expect(await reading('devices')).toEqual({ committed: 0, held: 1, uncertain: 0 });
      answer(status);
      await settles('devices', expected);
    });

    it('holds them until the lease ends when its client goes away (Q6)', async () => {
      const { post, returned, renewing, settles } = await scene();
      const leave = post();
      await returned;
      leave();
      await settles('devices', { held: 1 });
      await new Promise((resolve) => setTimeout(resolve, 50));
      await renewing();
      await settles('devices', { committed: 0, held: 0, uncertain: 1 });
    });
  },
);

it('a Koa guard takes no units where there is no response to tell the end by, as behind koa-websocket', async () => {
  const host = guardScene({ devices: 1 });
  const guard = requireQuota('devices', { billing: host.billing });
  const context = new Koa().createContext(new IncomingMessage(new Socket()), undefined as never);
  await expect(guard(context as never, async () => {})).rejects.toMatchObject({
    code: 'invalid_configuration',
    message: expect.stringContaining('billing.reserve'),
  });
  const next = await host.billing.reserve({ org: 'acme', charges: [{ key: 'devices' }] });
  expect(next.admitted).toBe(true);
  await host.billing.close();
});

/** Leases are renewed by an interval. */
function fakeIntervals(): void {
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
}

/** Lets three leases pass, with all their renewals. */
async function passLeases(clock: { advance(ms: number): void }, leaseMs: number): Promise<void> {
  for (let passed = 0; passed < 3 * leaseMs; passed += leaseMs / 4) {
    clock.advance(leaseMs / 4);
    vi.advanceTimersByTime(leaseMs / 4);
    await new Promise((resolve) => setImmediate(resolve));
  }
}

async function overHttp1(app: Koa): Promise<() => () => void> {
  const server = await listen(app.callback(), '');
  onTestFinished(() => unlisten(server));
  return () => {
    const client = new AbortController();
    fetch(`http://127.0.0.1:${server.port}/things`, { method: 'POST', signal: client.signal }).catch(
      () => {},
    );
    return () => client.abort();
  };
}

async function overHttp2(app: Koa): Promise<() => () => void> {
  const server = createHttp2Server(app.callback());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const session = http2Connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  onTestFinished(() => {
    session.destroy();
    server.close();
  });
  return () => {
    const request = session.request({ ':path': '/things', ':method': 'POST' }).end();
    return () => request.close();
  };
}
