import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { expect, it } from 'vitest';
import { capacity } from '../catalog/quota.ts';
import { createBilling } from '../create-billing.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import { sandboxProvider } from './sandbox-provider.ts';

it('leads an org from its limit over checkout, page and webhook to new limits, and back', async () => {
  let port = 0;
  const provider = sandboxProvider({ webhookUrl: () => `http://127.0.0.1:${port}/hook`, retryDelaysMs: [] });
  const rows = { count: 3 };
  const billing = createBilling({
    quotas: { devices: capacity() },
    tiers: [
      { slug: 'free', name: 'Free', isDefaultForPersonal: true, sortOrder: 0, limits: { devices: 3 } },
      { slug: 'pro', name: 'Pro', sortOrder: 1, limits: { devices: 50 } },
    ],
    inventory: {
      count: async () => rows.count,
      async *list() {},
      find: async () => null,
    },
    access: () => null,
    provider,
  });
  const statuses: number[] = [];
  const app = createServer(async (message, response) => {
    const chunks: Buffer[] = [];
    for await (const chunk of message) chunks.push(chunk);
    const header = (name: string) => message.headers[name]?.toString();
    const status = await billing.webhook({ provider: 'sandbox', bytes: Buffer.concat(chunks), header }).then(
      () => 200,
      (error: unknown) => (error instanceof TollgateError ? error.status : 500),
    );
    statuses.push(status);
    response.writeHead(status).end();
  });
  await new Promise<void>((resolve) => app.listen(0, '127.0.0.1', resolve));
  port = (app.address() as AddressInfo).port;
  try {
    const create = () => billing.reserve({ org: 'acme', charges: [{ key: 'devices' }] });
    expect(await create()).toMatchObject({ admitted: false });
    const { location } = await billing.checkout({ org: 'acme', tier: 'pro', actor: 'alice' });
    expect((await fetch(location ?? '', { method: 'POST' })).status).toBe(200);
    expect(statuses).toEqual([200, 200, 200]);
    expect(await billing.plan('acme')).toMatchObject({ tier: 'pro', subscription: { status: 'active' } });
    const admission = await create();
    expect(admission).toMatchObject({ admitted: true });
    if (admission.admitted) await admission.reservation.release();
    await billing.checkout({ org: 'acme', tier: 'free', actor: 'alice' });
    expect(await create()).toMatchObject({ admitted: false });
    expect(await billing.plan('acme')).toMatchObject({ tier: 'free', isDefault: true });
  } finally {
    await billing.close();
    app.closeAllConnections();
    await new Promise((resolve) => app.close(resolve));
  }
});
