import { once } from 'node:events';
import { connect, createServer } from 'node:http2';
import type { AddressInfo } from 'node:net';
import { bodyParser } from '@koa/bodyparser';
import { type Billing, createBilling, type HttpRequest, memoryBillingRepository } from '@tollgate/core';
import { billingRouter as expressRouter, keepRawBody as keepOnExpress } from '@tollgate/express';
import { keepRawBody as keepOnKoa, billingRouter as koaRouter } from '@tollgate/koa';
import {
  type RawRequest,
  type RawResponse,
  rawBytes,
  type ServerFixture,
  serverFixture,
} from '@tollgate/testing';
import express from 'express';
import Koa from 'koa';
import legacyBodyParser from 'koa-bodyparser';
import { describe, expect, onTestFinished, test } from 'vitest';
import { type Exchange, inProcess } from './in-process.ts';
import { checkWire } from './wire-schemas.ts';

type Framework = 'Express' | 'Koa';

/** Servers whose parser takes a JSON webhook's bytes and keeps none. */
const losing: Record<Framework, (billing: Billing) => Exchange> = {
  Express: (billing) => inProcess(express().use(express.json(), expressRouter(billing))),
  Koa: (billing) =>
    inProcess(new Koa().use(legacyBodyParser()).use(forgetText).use(koaRouter(billing)).callback()),
};

/** Servers whose parser takes them and keeps them for us. */
const keeping: Record<string, (billing: Billing) => Exchange> = {
  'express.json({ verify: keepRawBody })': (billing) =>
    inProcess(express().use(express.json({ verify: keepOnExpress }), expressRouter(billing))),
  'express.raw()': (billing) =>
    inProcess(express().use(express.raw({ type: '*/*' }), expressRouter(billing))),
  'a host that leaves req.rawBody': (billing) =>
    inProcess(
      express().use(
        express.json({
          verify: (req, _res, bytes) => {
            Object.assign(req, { rawBody: bytes });
          },
        }),
        expressRouter(billing),
      ),
    ),
  'keepRawBody on Koa': (billing) =>
    inProcess(
      new Koa().use(keepOnKoa).use(legacyBodyParser()).use(forgetText).use(koaRouter(billing)).callback(),
    ),
  '@koa/bodyparser by itself': (billing) =>
    inProcess(new Koa().use(bodyParser()).use(koaRouter(billing)).callback()),
};

const forgetText: Koa.Middleware = (ctx, next) => {
  delete (ctx.request as { rawBody?: string }).rawBody;
  return next();
};

function billingOf(fixture: ServerFixture): Billing {
  return createBilling(fixture.options) as Billing;
}

/** A checkout that was paid, as the sandbox tells of it. */
async function paidEvent(fixture: ServerFixture, billing: Billing) {
  const { subscription } = await billing.checkout({ org: 'acme', tier: 'pro', actor: 'test' });
  fixture.provider.confirm(subscription.externalId);
  const event = fixture.provider.events().at(-1);
  if (event === undefined) throw new Error('The sandbox told of nothing.');
  return fixture.provider.signed(event.id);
}

async function deliver(
  server: Exchange,
  { bytes: body, ...rest }: Pick<RawRequest, 'headers' | 'contentLength'> & { readonly bytes: Uint8Array },
): Promise<RawResponse> {
  const request = { method: 'POST', target: '/billing/webhooks/sandbox', body, ...rest };
  const response = await server(rawBytes(request));
  checkWire(request, response);
  return response;
}

describe.each(['Express', 'Koa'] as const)(
  'T6 on %s: a parser that eats the bytes of webhooks',
  (framework) => {
    test('is a fault of the configuration, not of the sender', async () => {
      const fixture = serverFixture();
      const billing = billingOf(fixture);
      const response = await deliver(losing[framework](billing), await paidEvent(fixture, billing));
      expect(response.status).toBe(500);
      expect(JSON.parse(response.body)).toMatchObject({ error_code: 'raw_body_unavailable' });
      await billing.close();
    });

    test('is logged once, with both cures', async () => {
      const fixture = serverFixture();
      const billing = billingOf(fixture);
      const server = losing[framework](billing);
      const signed = await paidEvent(fixture, billing);
      for (let delivery = 0; delivery < 3; delivery++) await deliver(server, signed);
      expect(fixture.logged.map(({ message }) => message)).toEqual([
        expect.stringMatching(
          /mount billingRouter before the parser.*verify: keepRawBody.*app\.use\(keepRawBody\)/,
        ),
      ]);
      await billing.close();
    });
  },
);

describe.each(Object.keys(keeping))('behind %s', (name) => {
  test('a webhook is applied once and then known as a duplicate', async () => {
    const fixture = serverFixture();
    const billing = billingOf(fixture);
    const server = keeping[name]?.(billing) ?? expect.fail();
    const signed = await paidEvent(fixture, billing);
    const first = await deliver(server, signed);
    expect({ status: first.status, outcome: first.headers.get('x-webhook-outcome') }).toEqual({
      status: 200,
      outcome: 'applied',
    });
    const again = await deliver(server, signed);
    expect({ status: again.status, outcome: again.headers.get('x-webhook-outcome') }).toEqual({
      status: 200,
      outcome: 'duplicate',
    });
    expect(JSON.parse(first.body)).toMatchObject({
      provider: 'sandbox',
      events: [{ provider: 'sandbox', tier_slug: 'pro' }],
    });
    await billing.close();
  });
});

const reading: Record<string, (billing: Billing) => Exchange> = {
  ...keeping,
  Express: (billing) => inProcess(express().use(expressRouter(billing))),
  Koa: (billing) => inProcess(new Koa().use(koaRouter(billing)).callback()),
};

test.each(Object.keys(reading))(
  'T8: %s takes a body of maxBodyBytes, and none of a byte more, however it comes',
  async (name) => {
    const fixture = serverFixture();
    const billing = billingOf(fixture);
    const signed = await paidEvent(fixture, billing);
    await billing.close();
    const size = signed.bytes.length;
    const inChunks = {
      bytes: Buffer.concat([
        Buffer.from(`${size.toString(16)}\r\n`),
        signed.bytes,
        Buffer.from('\r\n0\r\n\r\n'),
      ]),
      headers: { ...signed.headers, 'Transfer-Encoding': 'chunked' },
      contentLength: 0,
    };
    const statusAt = async (maxBodyBytes: number, sent: Parameters<typeof deliver>[1]) => {
      const limited = createBilling({
        ...fixture.options,
        repository: memoryBillingRepository(),
        maxBodyBytes,
      });
      return (await deliver(reading[name]?.(limited as Billing) ?? expect.fail(), sent)).status;
    };
    for (const sent of [signed, inChunks])
      expect([await statusAt(size, sent), await statusAt(size - 1, sent)]).toEqual([200, 413]);
  },
);

test('a body that the access hook reads is there for the operation, too, behind a parser that leaves an empty one for what it did not read', async () => {
  const given = serverFixture().options.access;
  const fixture = serverFixture({
    async access(asked) {
      expect(await (asked.request as HttpRequest).json()).toEqual({ tier_slug: 'pro' });
      return given(asked);
    },
  });
  const billing = billingOf(fixture);
  const forms = legacyBodyParser({ enableTypes: ['form'] });
  const server = inProcess(new Koa().use(forms).use(koaRouter(billing)).callback());
  const headers = { 'X-API-Key': 'key-admin', 'Content-Type': 'application/json' };
  const target = '/orgs/acme/billing/checkout';
  const response = await server(rawBytes({ method: 'POST', target, headers, body: '{"tier_slug":"pro"}' }));
  await billing.close();
  expect([response.status, JSON.parse(response.body)]).toMatchObject([200, { tier_slug: 'pro' }]);
});

test('over HTTP/2, where nothing announces a body, Koa reads it all the same', async () => {
  const fixture = serverFixture();
  const billing = billingOf(fixture);
  const server = createServer(new Koa().use(koaRouter(billing)).callback()).listen(0, '127.0.0.1');
  await once(server, 'listening');
  const client = connect(`http://127.0.0.1:${(server.address() as AddressInfo).port}`);
  onTestFinished(async () => {
    client.close();
    server.close();
    await billing.close();
  });
  const { bytes, headers } = await paidEvent(fixture, billing);
  const stream = client.request({ ':method': 'POST', ':path': '/billing/webhooks/sandbox', ...headers });
  stream.end(bytes);
  const [answer] = await once(stream, 'response');
  expect(answer).toMatchObject({ ':status': 200, 'x-webhook-outcome': 'applied' });
});

test('keepRawBody mounted as a middleware on Express, as on Koa, says where it belongs: no request was ever answered', async () => {
  const fixture = serverFixture();
  const billing = billingOf(fixture);
  const told: unknown[] = [];
  const app = express().use(keepOnExpress as unknown as express.RequestHandler, expressRouter(billing));
  app.use((error: unknown, _req: express.Request, res: express.Response, _next: express.NextFunction) => {
    told.push(error);
    res.sendStatus(500);
  });
  const response = await inProcess(app)(rawBytes({ method: 'GET', target: '/plans' }));
  expect(response.status).toBe(500);
  expect(told).toEqual([
    expect.objectContaining({
      code: 'invalid_configuration',
      message: expect.stringContaining('express.json({ verify: keepRawBody })'),
    }),
  ]);
  await billing.close();
});
