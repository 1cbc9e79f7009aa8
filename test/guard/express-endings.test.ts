import { channel } from 'node:diagnostics_channel';
import { IncomingMessage, ServerResponse } from 'node:http';
import { connect, type Socket } from 'node:net';
import { type Duplex, Writable } from 'node:stream';
import { releaseQuota, requireQuota } from '@tollgate/express';
import express5 from 'express';
import express4 from 'express4';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { listen, unlisten } from '../http/listen.ts';
import { gate, guardScene, org } from './guard-scene.ts';

const leaseMs = 1_000;
const CREATE = 'POST /things HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n';

type Guards = (
  guard: (key: string, make?: typeof requireQuota) => express5.RequestHandler,
) => readonly express5.RequestHandler[];

/** An app whose create does what the test says, and how to talk to it over a connection of one's own. */
async function scene(
  express: typeof express5,
  handler: express5.RequestHandler,
  guards: Guards = (guard) => [guard('devices')],
) {
  const host = guardScene({ devices: 10, zones: 10 }, { leaseMs });
  const app = express();
  const made = guards((key, make = requireQuota) => make(key as 'devices', { billing: host.billing }));
  app.post('/things', ...made, handler);
  const server = await listen(app, '');
  onTestFinished(async () => {
    await unlisten(server);
    await host.billing.close();
  });
  return { ...host, app, server: server.server, connect: () => connect(server.port, '127.0.0.1') };
}

/** The statuses of so many answers, in their order. */
function statuses(socket: Socket, count: number): Promise<readonly number[]> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.on('error', reject);
    socket.on('close', () => reject(new Error(`The connection was closed after: ${text}`)));
    socket.on('data', (chunk) => {
      text += String(chunk);
      const found = [...text.matchAll(/HTTP\/1\.1 (\d+)/g)].map(([, status]) => Number(status));
      if (found.length === count) resolve(found);
    });
  });
}

/** Creates once, and sees a 201 whose unit is kept. */
async function expectKept({ connect: open, settles }: Awaited<ReturnType<typeof scene>>): Promise<void> {
  const socket = open();
  const answer = statuses(socket, 1);
  socket.write(`${CREATE}\r\n`);
  expect(await answer).toEqual([201]);
  await settles('devices', { committed: 1, held: 0, uncertain: 0 });
  socket.destroy();
}

const replaceEnd: express5.RequestHandler = (_req, res, next) => {
  const { end } = res;
  res.end = ((...args: unknown[]) => Reflect.apply(end, res, args)) as typeof end;
  next();
};

describe.each([
  ['express 4', express4 as unknown as typeof express5],
  ['express 5', express5],
])('how a handler ended on %s', (_name, express) => {
  it('is told of each request of a connection by its own status, one after another', async () => {
    const wanted = [201, 400, 201, 409, 200];
    const { connect: open, settles } = await scene(express, (_req, res) => {
      res.status(wanted[told.length] ?? 500).end();
    });
    const told: number[] = [];
    const socket = open();
    for (const status of wanted) {
      const answer = statuses(socket, 1);
      socket.write(`${CREATE}\r\n`);
      expect(await answer).toEqual([status]);
      told.push(status);
      socket.removeAllListeners();
    }
    socket.destroy();
    await settles('devices', { committed: 3, held: 0, uncertain: 0 });
  });

  it('is told of requests sent without waiting for answers, the later ones answered first', async () => {
    const begun: express5.Response[] = [];
    const all = gate();
    const { connect: open, settles } = await scene(express, (_req, res) => {
      if (begun.push(res) === 3) all.open();
    });
    const socket = open();
    const answers = statuses(socket, 3);
    socket.write(`${CREATE}\r\n`.repeat(3));
    await all.opened;
    begun[2]?.status(201).end();
    begun[1]?.status(400).end();
    await settles('devices', { committed: 1, held: 1 });
    begun[0]?.status(201).end();
    expect(await answers).toEqual([201, 400, 201]);
    socket.destroy();
    await settles('devices', { committed: 2, held: 0, uncertain: 0 });
  });

  it('is told to every guard of a request, and again when it ends after its client has gone', async () => {
    let response: express5.Response | undefined;
    const began = gate();
    const keep = (_req: express5.Request, res: express5.Response) => {
      response = res;
      began.open();
    };
    const {
      connect: open,
      settles,
      reading,
    } = await scene(express, keep, (guard) => [guard('devices'), guard('zones')]);
    const socket = open();
    socket.write(`${CREATE}\r\n`);
    await began.opened;
    const closed = new Promise((resolve) => response?.once('close', resolve));
    socket.destroy();
    await closed;
    expect([await reading('devices'), await reading('zones')]).toMatchObject([{ held: 1 }, { held: 1 }]);
    response?.status(201).end();
    await settles('devices', { committed: 1, held: 0, uncertain: 0 });
    await settles('zones', { committed: 1, held: 0, uncertain: 0 });
  });

  it('is told to guards of several copies of the package, which listen once', async () => {
    vi.resetModules();
    const copy = await import('@tollgate/express');
    expect(copy.requireQuota).not.toBe(requireQuota);
    const created = (_req: express5.Request, res: express5.Response) => void res.status(201).end();
    const { connect: open, settles } = await scene(express, created, (guard) => {
      const own = guard('devices');
      const subscribe = vi.spyOn(channel('http.server.request.start'), 'subscribe');
      const others = guard('zones', copy.requireQuota);
      expect(subscribe).not.toHaveBeenCalled();
      return [own, others];
    });
    const socket = open();
    const answer = statuses(socket, 1);
    socket.write(`${CREATE}\r\n`);
    expect(await answer).toEqual([201]);
    await settles('devices', { committed: 1, held: 0 });
    await settles('zones', { committed: 1, held: 0 });
    socket.destroy();
  });

  it('is told when its client goes away before it has read the whole of the answer', async () => {
    const ended = gate();
    const { connect: open, settles } = await scene(express, (_req, res) => {
      res.status(201).end(Buffer.alloc(64 * 2 ** 20));
      ended.open();
    });
    const socket = open().pause();
    socket.write(`${CREATE}\r\n`);
    await ended.opened;
    socket.destroy();
    await settles('devices', { committed: 1, held: 0, uncertain: 0 });
  });

  it.each([
    ['its response was taken off it', (res: express5.Response) => res.detachSocket(res.socket as Socket)],
    ['its response knows nothing of it', () => {}],
  ])('is unseen where the handler writes to the connection itself: %s', async (_what, takeOver) => {
    const {
      clock,
      connect: open,
      reading,
      settles,
    } = await scene(express, (req, res) => {
      const { socket } = req;
      takeOver(res);
      socket.end('HTTP/1.1 201 Created\r\nContent-Length: 0\r\n\r\n');
    });
    const socket = open();
    const closed = new Promise((resolve) => socket.on('close', resolve));
    const answer = statuses(socket, 1);
    socket.write(`${CREATE}\r\n`);
    expect(await answer).toEqual([201]);
    await closed;
    expect(await reading('devices')).toEqual({ committed: 0, held: 1, uncertain: 0 });
    clock.advance(leaseMs);
    await settles('devices', { committed: 0, held: 0, uncertain: 1 });
  });

  it('is told of a handler that ends after a time-out has answered in its stead', async () => {
    let response: express5.Response | undefined;
    const {
      connect: open,
      settles,
      reading,
    } = await scene(express, (_req, res) => {
      response = res;
      res.status(503).end();
    });
    const socket = open();
    const answer = statuses(socket, 1);
    socket.write(`${CREATE}\r\n`);
    expect(await answer).toEqual([503]);
    expect(await reading('devices')).toMatchObject({ held: 1 });
    response?.status(201).end();
    await settles('devices', { committed: 1, held: 0, uncertain: 0 });
    socket.destroy();
  });

  it.each([400, 500, 503])(
    'is told by the status that was sent, though somebody sets %i after it',
    async (status) => {
      const handler: express5.RequestHandler = (_req, res) => {
        res.status(201).end();
        res.status(status);
      };
      await expectKept(await scene(express, handler));
    },
  );

  it.each([
    ['alone', []],
    ['behind an end that was replaced, as by sessions and compression', [replaceEnd]],
  ])(
    'is told by the head that was sent, %s, though somebody ends it with another status',
    async (_where, before) => {
      const handler: express5.RequestHandler = (_req, res) => {
        res.status(201).write('begun');
        res.status(500).end();
      };
      await expectKept(await scene(express, handler, (guard) => [...before, guard('devices')]));
    },
  );

  it.each(['before', 'after'])(
    'is told when its client goes away while an end replaced %s the guard is waiting to be done',
    async (place) => {
      const ended = gate();
      const saved = gate();
      let response: express5.Response | undefined;
      /** As sessions do: the answer leaves when they are saved. */
      const session: express5.RequestHandler = (_req, res, next) => {
        const end = res.end;
        res.end = ((...args: unknown[]) => {
          ended.open();
          void saved.opened.then(() => Reflect.apply(end, res, args));
          return res;
        }) as typeof end;
        next();
      };
      const handler: express5.RequestHandler = (_req, res) => {
        response = res;
        res.status(201).end();
      };
      const { connect: open, settles } = await scene(express, handler, (guard) =>
        place === 'before' ? [session, guard('devices')] : [guard('devices'), session],
      );
      const socket = open();
      socket.write(`${CREATE}\r\n`);
      await ended.opened;
      const closed = new Promise((resolve) => response?.once('close', resolve));
      socket.destroy();
      await closed;
      saved.open();
      await settles('devices', { committed: 1, held: 0, uncertain: 0 });
    },
  );

  it('is unseen for requests that wait behind another one when their connection closes', async () => {
    // Leases are renewed by an interval.
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const all = gate();
    let begun = 0;
    let last: express5.Request | undefined;
    const {
      connect: open,
      settles,
      clock,
    } = await scene(express, (req) => {
      last = req;
      if (++begun === 3) all.open();
    });
    const socket = open();
    socket.write(`${CREATE}\r\n`.repeat(3));
    await all.opened;
    const closed = new Promise((resolve) => last?.socket.once('close', resolve));
    socket.destroy();
    await closed;
    for (let passed = 0; passed < 3 * leaseMs; passed += leaseMs / 4) {
      clock.advance(leaseMs / 4);
      vi.advanceTimersByTime(leaseMs / 4);
    }
    await settles('devices', { held: 0, uncertain: 3 });
  });

  it('is unseen when the connection closes that was upgraded, which no response is given', async () => {
    // Leases are renewed by an interval.
    vi.useFakeTimers({ toFake: ['setInterval', 'clearInterval'] });
    onTestFinished(() => void vi.useRealTimers());
    const { app, server, connect: open, settles, clock } = await scene(express, () => {});
    let upgraded: Duplex | undefined;
    server.on('upgrade', (request, socket) => {
      upgraded = socket.resume().on('end', () => socket.destroy());
      app(request, new ServerResponse(request));
    });
    const client = open();
    client.write(`${CREATE}Connection: Upgrade\r\nUpgrade: websocket\r\n\r\n`);
    await settles('devices', { held: 1 });
    const closed = new Promise((resolve) => upgraded?.once('close', resolve));
    client.destroy();
    await closed;
    for (let passed = 0; passed < 3 * leaseMs; passed += leaseMs / 4) {
      clock.advance(leaseMs / 4);
      vi.advanceTimersByTime(leaseMs / 4);
    }
    await settles('devices', { held: 0, uncertain: 1 });
  });

  it('is told where no server of Node serves: an adapter calls the app with messages of its own', async () => {
    const { app, settles } = await scene(express, (req, res) => {
      res.status(req.header('x-fail') === undefined ? 201 : 422).end();
    });
    for (const headers of [{}, { 'x-fail': '1' }, {}]) {
      const socket = new Writable({ write: (_chunk, _encoding, done) => done() }) as unknown as Socket;
      const request = new IncomingMessage(socket);
      Object.assign(request, { method: 'POST', url: '/things', headers: { 'x-org': org, ...headers } });
      const response = new ServerResponse(request);
      response.assignSocket(socket);
      const finished = new Promise((resolve) => response.on('finish', resolve));
      app(request, response);
      await finished;
    }
    await settles('devices', { committed: 2, held: 0, uncertain: 0 });
  });

  it('is told by the status that is set where an adapter keeps the head of the answer empty, as those for AWS Lambda do', async () => {
    const { app, billing, settles } = await scene(express, (req, res) => {
      res.status(Number(req.header('x-answer'))).json({});
    });
    app.delete('/things', releaseQuota('devices', { billing }), (_req, res) => void res.status(204).end());
    async function call(answer: number, method = 'POST'): Promise<void> {
      const socket = new Writable({ write: (_chunk, _encoding, done) => done() }) as unknown as Socket;
      const request = new IncomingMessage(socket);
      const headers = { 'x-org': org, 'x-answer': String(answer) };
      Object.assign(request, { method, url: '/things', headers });
      const response = Object.assign(new ServerResponse(request), { _header: '' });
      response.assignSocket(socket);
      const finished = new Promise((resolve) => response.on('finish', resolve));
      app(request, response);
      await finished;
    }
    await call(201);
    await call(201);
    await call(409);
    await settles('devices', { committed: 2, held: 0, uncertain: 0 });
    await call(500);
    await settles('devices', { committed: 2, held: 0, uncertain: 1 });
    await call(204, 'DELETE');
    // Whether the row is gone is for the next count to say.
    await settles('devices', { committed: 1, held: 0, uncertain: 2 });
  });
});
