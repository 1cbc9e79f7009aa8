import { type CounterStore, memoryCounterStore, TollgateError } from '@tollgate/core';
import { requireQuota } from '@tollgate/express';
import { fakeClock } from '@tollgate/testing';
import express5 from 'express';
import express4 from 'express4';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { listen, unlisten } from '../http/listen.ts';
import { gate, guardScene } from './guard-scene.ts';

const FREE = { committed: 0, held: 0, uncertain: 0 };
const HELD = { committed: 0, held: 1, uncertain: 0 };
const UNCERTAIN = { committed: 0, held: 0, uncertain: 1 };
const leaseMs = 100;

/** What came of one request, in whose time nobody may have ended the answer. */
async function answerOf(app: express5.Express, { billing }: ReturnType<typeof guardScene>) {
  const server = await listen(app, '');
  onTestFinished(async () => {
    await unlisten(server);
    await billing.close();
  });
  const answer = await fetch(`http://127.0.0.1:${server.port}/things`, {
    method: 'POST',
    signal: AbortSignal.timeout(5_000),
  });
  return { status: answer.status, text: await answer.text().catch((error) => error.name) };
}

/** A scene whose store answers a reserve when it is let, on a route that tells how it went. */
async function slowScene(
  express: typeof express5,
  handler: express5.RequestHandler,
  instead: Partial<CounterStore> = {},
) {
  // Leases are renewed by an interval.
  vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
  onTestFinished(() => void vi.useRealTimers());
  const clock = fakeClock();
  const counters = memoryCounterStore({ clock });
  const asked = gate();
  const answer = gate();
  const renewed: string[] = [];
  const slow: CounterStore = {
    ...counters,
    renew(request) {
      renewed.push(...request.leases.map((lease) => lease.id));
      return counters.renew(request);
    },
    async reserve(request) {
      asked.open();
      await answer.opened;
      return counters.reserve(request);
    },
    ...instead,
  };
  const scene = guardScene({ devices: 5 }, { clock, counters: slow, leaseMs });
  const app = express();
  let response: express5.Response | undefined;
  app.post(
    '/things',
    (_req, res, next) => {
      response = res;
      next();
    },
    requireQuota('devices', { billing: scene.billing }),
    handler,
  );
  const failures: unknown[] = [];
  app.use(((error, _req, _res, next) => {
    failures.push(error);
    next(error);
  }) as express5.ErrorRequestHandler);
  const server = await listen(app, '');
  onTestFinished(async () => {
    await unlisten(server);
    await scene.billing.close();
  });
  return {
    scene,
    clock,
    failures,
    renewed,
    asked: asked.opened,
    answer: answer.open,
    response: () => response as express5.Response,
    post: (signal?: AbortSignal) =>
      fetch(`http://127.0.0.1:${server.port}/things`, {
        method: 'POST',
        ...(signal === undefined ? {} : { signal }),
      }),
  };
}

describe.each([
  ['express 4', express4 as unknown as typeof express5],
  ['express 5', express5],
])('requireQuota on %s, while its decision is awaited:', (_name, express) => {
  it.each([
    ['given', (res: express5.Response) => res.status(503).end('too slow')],
    ['begun', (res: express5.Response) => res.status(503).write('too')],
  ])(
    'an answer %s in its stead keeps the handler from running, and no unit is kept',
    async (_how, answerIt) => {
      let ran = 0;
      const { scene, asked, answer, response, post } = await slowScene(express, (_req, res) => {
        ran++;
        res.sendStatus(201);
      });
      const posted = post();
      await asked;
      answerIt(response());
      expect((await posted).status).toBe(503);
      answer();
      await scene.settles('devices', FREE);
      expect(ran).toBe(0);
      response().end();
    },
  );

  it('an answer given in its stead stays the only one when the unit cannot be given back', async () => {
    const settled = gate();
    const { failures, asked, answer, response, post } = await slowScene(express, () => {}, {
      settle: async () => {
        settled.open();
        throw new TollgateError('quota_unavailable');
      },
    });
    const posted = post();
    await asked;
    response().status(503).end('too slow');
    expect((await posted).status).toBe(503);
    answer();
    await settled.opened;
    await new Promise((resolve) => setImmediate(resolve));
    expect(failures).toEqual([]);
  });

  it('a client that goes away leaves a lease that ends, though its handler never does (Q5)', async () => {
    const began = gate();
    const { scene, clock, renewed, asked, answer, response, post } = await slowScene(express, () =>
      began.open(),
    );
    const client = new AbortController();
    const posted = post(client.signal).catch(() => undefined);
    await asked;
    const closed = new Promise((resolve) => response().once('close', resolve));
    client.abort();
    await posted;
    await closed;
    answer();
    await began.opened;
    expect(await scene.reading('devices')).toEqual(HELD);
    vi.advanceTimersByTime(10 * leaseMs);
    expect(renewed).toEqual([]);
    clock.advance(leaseMs + 1);
    expect(await scene.reading('devices')).toEqual(UNCERTAIN);
  });

  it.each([408, 499])(
    'an answer of %i in its stead gives nothing back while the handler runs (T24)',
    async (status) => {
      const began = gate();
      const { scene, asked, answer, response, post } = await slowScene(express, () => began.open());
      const posted = post();
      await asked;
      answer();
      await began.opened;
      response().status(status).end('too slow');
      expect((await posted).status).toBe(status);
      expect(await scene.reading('devices')).toEqual(HELD);
    },
  );

  /** A route whose stream is begun before its guard; answers what came of one request. */
  async function begun(devices: number) {
    const scene = guardScene({ devices, seats: 1 });
    const app = express();
    app.post(
      '/things',
      (_req, res, next) => {
        res.status(202).type('text/event-stream').flushHeaders();
        next();
      },
      requireQuota('seats', { billing: scene.billing }),
      requireQuota('devices', { billing: scene.billing }),
      (_req, res) => void res.end('data: made\n\n'),
    );
    return { scene, ...(await answerOf(app, scene)) };
  }

  it('a stream begun before the guard is no answer in its stead: the handler goes on with it', async () => {
    const { scene, ...answer } = await begun(1);
    expect(answer).toEqual({ status: 202, text: 'data: made\n\n' });
    await scene.settles('devices', { committed: 1, held: 0, uncertain: 0 });
  });

  it('a stream begun before a guard that refuses breaks off: nobody else would end it', async () => {
    const { scene, ...answer } = await begun(0);
    // What `fetch` makes of it, and not of its own time-out.
    expect(answer).toEqual({ status: 202, text: 'TypeError' });
    await scene.settles('devices', FREE);
    // Of the guard before it.
    await scene.settles('seats', FREE);
  });

  it('an answer that was ended before a guard that refuses comes whole', async () => {
    const scene = guardScene({ devices: 0 });
    const app = express();
    const whole = 'x'.repeat(20_000_000);
    app.post(
      '/things',
      (_req, res, next) => {
        res.send(whole);
        next();
      },
      requireQuota('devices', { billing: scene.billing }),
    );
    const { status, text } = await answerOf(app, scene);
    expect([status, text.length]).toEqual([200, whole.length]);
  });
});
