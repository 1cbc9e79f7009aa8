import { Router } from '@koa/router';
import { capacity, createBilling } from '@tollgate/core';
import { billingRouter, requireQuota } from '@tollgate/koa';
import Koa from 'koa';
import request from 'supertest';
import { expect, it } from 'vitest';

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
