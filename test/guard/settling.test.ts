import { reservationOf, TollgateError } from '@tollgate/core';
import { describe, expect, it } from 'vitest';
import { waitUntil } from '../support/services.ts';
import { gate, guardScene } from './guard-scene.ts';
import { frameworks } from './guarded-app.ts';

const FREE = { committed: 0, held: 0, uncertain: 0 };
const KEPT = { committed: 1, held: 0, uncertain: 0 };
const UNCERTAIN = { committed: 0, held: 0, uncertain: 1 };
const HELD = { committed: 0, held: 1, uncertain: 0 };

describe.each(frameworks)('requireQuota on %s settles by how the handler ended:', (framework) => {
  it.each([
    [200, KEPT],
    [201, KEPT],
    [204, KEPT],
    [303, KEPT],
    [400, FREE],
    [404, FREE],
    [409, FREE],
    [422, FREE],
    [500, UNCERTAIN],
    [502, UNCERTAIN],
  ])('an answer of %i', async (status, expected) => {
    const scene = guardScene({ devices: 5 });
    const { post } = await scene.serve(framework, {
      guards: [['devices']],
      handler: ({ answer }) => answer(status),
    });
    const answer = await post();
    expect(answer.status).toBe(status);
    expect(answer.headers.get('ratelimit')).toBe('"devices";r=4');
    await scene.settles('devices', expected);
  });

  it.each([503, 504])(
    'an answer of %i, which somebody may have given in its stead, never gives units back before the lease ends',
    async (status) => {
      const scene = guardScene({ devices: 5 });
      const { post } = await scene.serve(framework, {
        guards: [['devices']],
        handler: ({ answer }) => answer(status),
      });
      await post();
      // Koa shows the handler's own end, Express only an answer.
      await scene.settles('devices', framework.startsWith('koa') ? UNCERTAIN : HELD);
      scene.clock.advance(30_001);
      await scene.settles('devices', UNCERTAIN);
    },
  );

  it.each([
    ['a refusal', Object.assign(new Error('taken'), { status: 409 }), 409, FREE],
    ['a failure', new Error('broken'), 500, UNCERTAIN],
  ])('%s handed to the framework', async (_what, error, status, expected) => {
    const scene = guardScene({ devices: 5 });
    const { post } = await scene.serve(framework, {
      guards: [['devices']],
      handler: ({ fail }) => fail(error),
    });
    expect((await post()).status).toBe(status);
    await scene.settles('devices', expected);
  });

  it('a throw, after which a create that would be refused recounts first (T24)', async () => {
    const scene = guardScene({ devices: 1 });
    let writesFirst = false;
    const { post } = await scene.serve(framework, {
      guards: [['devices']],
      handler: () => {
        if (writesFirst) scene.add('devices');
        throw new Error('lost the connection');
      },
    });
    expect((await post()).status).toBe(500);
    await scene.settles('devices', UNCERTAIN);
    writesFirst = true;
    expect((await post()).status, 'no row was written: there is room').toBe(500);
    await waitUntil('the second failure is known', async () => (await scene.reading('devices')).held === 0);
    expect((await post()).status, 'the row was written before the throw').toBe(429);
    expect(scene.rows.get('devices')).toBe(1);
  });

  it('a client that goes away: a create past the limit never runs while the handlers may still write (F8, Q6)', async () => {
    const scene = guardScene({ devices: 5 });
    const finish = gate();
    let running = 0;
    const { post } = await scene.serve(framework, {
      guards: [['devices']],
      handler: async ({ answer }) => {
        running += 1;
        await finish.opened;
        scene.add('devices');
        answer(201);
      },
    });
    const refusals: number[] = [];
    for (let n = 0; n < 50; n += 1) {
      const client = new AbortController();
      const before = running;
      const request = post({}, client.signal).then(
        (answer) => void refusals.push(answer.status),
        () => undefined,
      );
      await waitUntil('it runs or is refused', () => running > before || refusals.length + running > n, {
        everyMs: 1,
      });
      client.abort();
      await request;
    }
    expect(running).toBe(5);
    expect(refusals).toEqual(Array.from({ length: 45 }, () => 429));
    finish.open();
    await scene.settles('devices', { committed: 5, held: 0, uncertain: 0 });
    expect((await post()).status).toBe(429);
    expect(scene.rows.get('devices')).toBe(5);
  });

  it('an aborted create whose handler never ends is decided when its lease ends (Q5)', async () => {
    const scene = guardScene({ devices: 1 });
    const started = gate();
    const { post } = await scene.serve(framework, {
      guards: [['devices']],
      handler: async () => {
        started.open();
        await new Promise(() => {});
      },
    });
    const client = new AbortController();
    const request = post({}, client.signal).catch(() => undefined);
    await started.opened;
    client.abort();
    await request;
    expect((await post()).status).toBe(429);
    if (framework.startsWith('koa')) return; // Koa waits for the handler itself, and keeps its lease alive.
    scene.clock.advance(30_001);
    await scene.settles('devices', UNCERTAIN);
  });

  it('a time-out answered in its stead: the units stay held while it runs', async () => {
    const scene = guardScene({ devices: 1 });
    const slow = gate();
    const finish = gate();
    const { post } = await scene.serve(framework, {
      guards: [['devices']],
      impatience: () => slow.opened,
      handler: async () => {
        await finish.opened;
        scene.add('devices');
      },
    });
    const first = post();
    await scene.settles('devices', HELD);
    slow.open();
    expect((await first).status).toBe(503);
    expect(await scene.reading('devices')).toEqual(HELD);
    const other = await scene.billing.reserve({ org: 'acme', charges: [{ key: 'devices' }] });
    expect(other.admitted).toBe(false);
    finish.open();
  });

  it('an answer in pieces holds its units to the last piece', async () => {
    const scene = guardScene({ devices: 1 });
    const finish = gate();
    const { post } = await scene.serve(framework, {
      guards: [['devices']],
      handler: ({ stream }) => {
        stream(async function* () {
          yield 'one ';
          await finish.opened;
          yield 'two';
        });
      },
    });
    const answer = await post();
    const { committed, held } = await scene.reading('devices');
    expect(committed + held).toBe(1);
    finish.open();
    expect(await answer.text()).toBe('one two');
    await scene.settles('devices', KEPT);
  });

  it('a batch keeps what it made, and what the handler settled is not settled again', async () => {
    const scene = guardScene({ devices: 10 });
    const { post } = await scene.serve(framework, {
      guards: [['devices', { amount: 5 }]],
      handler: async ({ native, answer }) => {
        scene.add('devices', 2);
        expect(await reservationOf(native)?.commit(2)).toBe('committed');
        answer(500);
      },
    });
    expect((await post()).status).toBe(500);
    await scene.settles('devices', { committed: 2, held: 0, uncertain: 0 });
  });

  it('metered units: given back when it fails, kept when the guard says so', async () => {
    const scene = guardScene({ door_opens: 5 });
    const { post } = await scene.serve(framework, {
      guards: [
        [
          'door_opens',
          { onFailure: (request: { get(name: string): string }) => request.get('x-on-failure') },
        ],
      ],
      handler: () => {
        throw new TollgateError('internal_error');
      },
    });
    const used = async () => {
      const { items } = await scene.billing.usage({ org: 'acme' });
      return items.filter((item) => item.key === 'door_opens').map((item) => item.current);
    };
    await post({ 'x-on-failure': 'charge' });
    await waitUntil('it is charged', async () => (await used()).join() === '1,1');
    const answer = await post({ 'x-on-failure': 'release' });
    expect(answer.headers.get('ratelimit')).toMatch(
      /^"door_opens:day";r=3;t=\d+, "door_opens:month";r=3;t=\d+$/,
    );
    const next = await post({ 'x-on-failure': 'release' });
    expect(next.headers.get('ratelimit'), 'the unit came back').toMatch(/^"door_opens:day";r=3;/);
    expect(await used()).toEqual([1, 1]);
  });
});
