import { createServer, type RequestListener } from 'node:http';
import type { AddressInfo } from 'node:net';
import { bodyParser } from '@koa/bodyparser';
import {
  type Billing,
  type BillingOptions,
  type BillingRepository,
  capacity,
  createBilling,
  type PaymentProvider,
} from '@tollgate/core';
import * as onExpress from '@tollgate/express';
import * as onKoa from '@tollgate/koa';
import { type StripeOptions, stripeProvider } from '@tollgate/stripe';
import type { StripeStandIn } from '@tollgate/testing';
import express from 'express';
import Koa from 'koa';
import mount from 'koa-mount';

export const basePath = '/api/v1';

export const TIERS: BillingOptions<'devices'>['tiers'] = [
  { slug: 'free', name: 'Free', isDefaultForPersonal: true, sortOrder: 1, limits: { devices: 3 } },
  { slug: 'pro', name: 'Pro', sortOrder: 2, limits: { devices: 50 } },
  { slug: 'business', name: 'Business', sortOrder: 3, limits: { devices: 'unlimited' } },
];

/** The same engine, on each framework, ahead of the host's JSON parser and behind it. */
export const FRAMEWORKS: Readonly<Record<string, (billing: Billing) => RequestListener>> = {
  'express, ahead of express.json()': (billing) => {
    const app = express();
    app.use(basePath, onExpress.billingRouter(billing));
    app.use(express.json());
    return app;
  },
  'express, behind express.json()': (billing) => {
    const app = express();
    app.use(express.json({ verify: onExpress.keepRawBody }));
    app.use(basePath, onExpress.billingRouter(billing));
    return app;
  },
  'koa, ahead of the body parser': (billing) => {
    const app = new Koa();
    app.use(mount(basePath, onKoa.billingRouter(billing)));
    app.use(bodyParser());
    return app.callback();
  },
  'koa, behind the body parser': (billing) => {
    const app = new Koa();
    app.use(onKoa.keepRawBody);
    app.use(bodyParser());
    app.use(mount(basePath, onKoa.billingRouter(billing)));
    return app.callback();
  },
};

/** A running app that sells through a stand-in. */
export interface StripeHost {
  readonly billing: Billing;
  /** Where the API lies. */
  readonly api: string;
  readonly webhookUrl: string;
  /** Everything it logged. */
  readonly logs: string[];
  close(): Promise<void>;
}

export interface HostParts {
  readonly framework?: string;
  readonly standIn: StripeStandIn;
  readonly prices: Readonly<Record<string, string>>;
  readonly repository?: BillingRepository;
  readonly options?: Partial<BillingOptions>;
  readonly stripe?: Partial<StripeOptions>;
  readonly wrapProvider?: (provider: PaymentProvider) => PaymentProvider;
}

export async function stripeHost(parts: HostParts): Promise<StripeHost> {
  const { standIn, prices, repository } = parts;
  const logs: string[] = [];
  const log = (level: string) => (message: string, facts?: unknown) =>
    void logs.push(
      JSON.stringify({ level, message, facts }, (_, value) =>
        value instanceof Error ? String(value.stack) : value,
      ),
    );
  const provider = stripeProvider({
    secretKey: standIn.secretKey,
    webhookSecrets: () => standIn.webhookSecrets,
    prices,
    successUrl: 'https://app.example.com/billing',
    apiBase: standIn.origin,
    timeoutMs: 2_000,
    maxNetworkRetries: 0,
    ...parts.stripe,
  });
  const billing = createBilling<'devices'>({
    quotas: { devices: capacity() },
    tiers: TIERS,
    inventory: { count: async () => 0, async *list() {}, find: async () => null },
    access: async ({ request }) => ({ actor: request.header('x-api-key') ?? 'nobody', allowed: true }),
    provider: parts.wrapProvider?.(provider) ?? provider,
    returnOrigins: ['https://app.example.com'],
    logger: { debug: log('debug'), info: log('info'), warn: log('warn'), error: log('error') },
    ...(repository === undefined ? {} : { repository }),
    ...parts.options,
  });
  const listener = FRAMEWORKS[parts.framework ?? 'express, ahead of express.json()'];
  if (listener === undefined) throw new Error(`There is no ${parts.framework}.`);
  const server = createServer(listener(billing));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const api = `http://127.0.0.1:${(server.address() as AddressInfo).port}${basePath}`;
  return {
    billing,
    api,
    webhookUrl: `${api}/billing/webhooks/stripe`,
    logs,
    async close() {
      await new Promise<void>((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      });
      await billing.close();
    },
  };
}

/** One answer, whole. */
export interface Answer {
  readonly status: number;
  readonly headers: Headers;
  readonly text: string;
  // biome-ignore lint/suspicious/noExplicitAny: tests look into it
  readonly body: any;
}

/** Calls an org's billing routes; keeps every answer in `seen`. */
export function caller(
  api: string,
  seen: string[] = [],
  headers: Readonly<Record<string, string>> = { 'X-API-Key': 'demo-admin' },
) {
  return async (method: 'GET' | 'POST', path: string, body?: object): Promise<Answer> => {
    const response = await fetch(`${api}${path}`, {
      method,
      redirect: 'manual',
      headers: { ...headers, ...(body === undefined ? {} : { 'Content-Type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    seen.push(JSON.stringify([...response.headers]), text);
    return {
      status: response.status,
      headers: response.headers,
      text,
      body: text === '' ? null : JSON.parse(text),
    };
  };
}

/** Presses a button of a hosted page, as the customer does. */
export async function press(page: string, fields: Readonly<Record<string, string>>): Promise<Response> {
  return await fetch(page, { method: 'POST', redirect: 'manual', body: new URLSearchParams(fields) });
}
