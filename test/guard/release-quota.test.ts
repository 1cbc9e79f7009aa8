import { releaseQuota } from '@tollgate/koa';
import Koa from 'koa';
import request from 'supertest';
import { describe, expect, it } from 'vitest';
import { waitUntil } from '../support/services.ts';
import { type GuardScene, guardScene } from './guard-scene.ts';
import { frameworks } from './guarded-app.ts';

async function charge({ billing }: GuardScene, org: string): Promise<void> {
  const admission = await billing.reserve({ org, charges: [{ key: 'door_opens', amount: 5 }] });
  if (admission.admitted) await admission.reservation.commit();
}

async function used({ billing }: GuardScene, org: string): Promise<number | undefined> {
  const { items } = await billing.usage({ org });
  return items.find(({ key, period }) => key === 'door_opens' && period === 'month')?.current;
}

describe.each(frameworks)('releaseQuota on %s', (framework) => {
  it('gives back to the org that the request named before its handler, whatever routers within made of its parameters', async () => {
    const scene = guardScene({ door_opens: 10 });
    await charge(scene, 'acme');
    await charge(scene, 'globex');
    const { remove } = await scene.serve(framework, {
      guards: [],
      handler: ({ answer }) => answer(201),
      onDelete: {
        key: 'door_opens',
        options: { org: ({ params }: { params: { id: string } }) => params.id },
        handler: ({ native, answer }) => {
          Object.assign(native, { params: { id: 'globex' } });
          answer(200);
        },
      },
    });
    expect((await remove('acme')).status).toBe(200);
    await waitUntil(
      'the delete is reported',
      async () => (await used(scene, 'acme')) !== 5 || (await used(scene, 'globex')) !== 5,
    );
    expect([await used(scene, 'acme'), await used(scene, 'globex')]).toEqual([4, 5]);
  });
});

describe.each(['express 4', 'express 5'] as const)('releaseQuota on %s', (framework) => {
  it('gives back once, however often the handler ends its answer', async () => {
    const scene = guardScene({ door_opens: 10 });
    await charge(scene, 'acme');
    const { remove } = await scene.serve(framework, {
      guards: [],
      handler: ({ answer }) => answer(201),
      onDelete: {
        key: 'door_opens',
        handler({ native, answer }) {
          answer(200);
          (native as { res: { end(): void } }).res.end();
        },
      },
    });
    expect((await remove('one')).status).toBe(200);
    expect((await remove('two')).status).toBe(200);
    await waitUntil('both are reported', async () => ((await used(scene, 'acme')) ?? 5) <= 3);
    expect(await used(scene, 'acme')).toBe(3);
  });
});

const later = (status: number) => (ctx: Koa.Context) => {
  ctx.respond = false;
  setImmediate(() => ctx.res.writeHead(status).end());
};
const never = (status: number, isSet: boolean) => (ctx: Koa.Context) => {
  ctx.respond = false;
  if (isSet) ctx.status = status;
  ctx.res.writeHead(status).end();
  return new Promise<never>(() => {});
};

it.each<[string, (ctx: Koa.Context) => unknown, number]>([
  ['204 after it has returned', later(204), 4],
  ['404 after it has returned', later(404), 5],
  ['204 without ever returning', never(204, false), 4],
  ['204 that it set through Koa, without ever returning', never(204, true), 4],
  ['404 without ever returning', never(404, false), 5],
  ['500 without ever returning', never(500, false), 5],
])(
  'a delete that a Koa handler answers by itself is reported by its status: %s',
  async (_how, handler, left) => {
    const scene = guardScene({ door_opens: 10 });
    await charge(scene, 'acme');
    const app = new Koa().use(releaseQuota('door_opens', { billing: scene.billing })).use(handler);
    await request(app.callback()).delete('/things/1');
    await waitUntil('the delete is counted', async () => (await used(scene, 'acme')) === left);
    await scene.billing.close();
  },
);
