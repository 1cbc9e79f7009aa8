import { type Billing, billingRoutes, createBilling, openApiDocument, type Route } from '@tollgate/core';
import { billingRouter as expressRouter } from '@tollgate/express';
import { billingRouter as koaRouter } from '@tollgate/koa';
import { type RawRequest, rawBytes, serverFixture } from '@tollgate/testing';
import express from 'express';
import fc from 'fast-check';
import Koa from 'koa';
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { comparable } from './comparable.ts';
import { inProcess } from './in-process.ts';
import { brokenArbitrary, type Dictionary, type JsonSchema, schemaArbitrary } from './schema-arbitrary.ts';
import { checkWire } from './wire-schemas.ts';

/** Inputs of each kind for an operation, each sent to both frameworks; TOLLGATE_FUZZ_RUNS says another number. */
const RUNS = Number(process.env.TOLLGATE_FUZZ_RUNS ?? 2_000);
/** Requests on their way at a time. */
const BATCH = 50;

const document = openApiDocument(billingRoutes, { basePath: '' }) as unknown as {
  paths: Record<
    string,
    Record<
      string,
      {
        responses: Record<string, unknown>;
        requestBody?: { content: Record<string, { schema?: JsonSchema }> };
      }
    >
  >;
  components: { schemas: Record<string, JsonSchema> };
};
const components = document.components.schemas;

const WORDS: Dictionary = {
  tier_slug: ['pro', 'business', 'free', 'enterprise', 'gold', '__proto__'],
  return_url: [
    'https://app.example.com/billing',
    'https://app.example.com.evil.test/',
    'javascript:alert(1)',
    '//evil.test',
    'https://a@b',
  ],
  resource: ['devices', 'org_users', 'door_opens', 'unicorns', '__proto__'],
  resource_id: ['d1', 'd2', 'd3', '__proto__'],
  subject_type: ['org', 'galaxy'],
  subject_id: ['acme', 'globex', 'initech', '__proto__', 'a b'],
  quota_key: [
    'devices',
    'org_users',
    'door_opens',
    'video_session_duration_seconds',
    'unicorns',
    '__proto__',
  ],
  period: ['lifetime', 'day', 'week', 'month', 'per_session', 'fortnight'],
};

/** Every org has these. */
const ROWS = ['d1', 'd2', 'd3', 'd4'].map((id, index) => ({ id, createdAt: index, lastUsedAt: null }));

const fixture = serverFixture({
  // The limits as before, for orgs of any number, so that checkouts of different requests do not wait for each other.
  access: ({ request, org }) => {
    const key = request.header('x-api-key');
    if (key === undefined) return null;
    return { actor: 'fuzz', allowed: key === 'all' || key === org };
  },
  inventory: {
    count: async ({ key }) => (key === 'devices' ? ROWS.length : 0),
    async *list({ key }) {
      if (key === 'devices') yield* ROWS;
    },
    find: async ({ key, id }) => (key === 'devices' ? (ROWS.find((row) => row.id === id) ?? null) : null),
  },
});
const billing = createBilling(fixture.options) as Billing;
const servers = {
  Express: inProcess(express().use(expressRouter(billing))),
  Koa: inProcess(new Koa().use(koaRouter(billing)).callback()),
};

let assertNoPoisoning: typeof import('@fast-check/poisoning').assertNoPoisoning;

beforeAll(async () => {
  // What is made on first use is made now, so that only what a request did counts as a change of a global.
  void [globalThis.AbortController, globalThis.AbortSignal];
  for (const { path, method } of billingRoutes) {
    const target = path.replace('{id}', 'acme').replace('{provider}', 'sandbox');
    await answersOf({ method, target, headers: JSON_HEADERS, body: '{}' });
  }
  ({ assertNoPoisoning } = await import('@fast-check/poisoning'));
});
afterAll(() => billing.close());
afterEach(() => {
  // T34
  assertNoPoisoning({ ignoredRootRegex: /^__vitest_/ });
  expect(fixture.logged).toEqual([]);
});

/** Stands for an org of the request's own: requests on their way at the same time must not meet in one org's state. */
const OWN_ORG = 'own-org';
const orgId = fc.oneof(
  fc.constant(OWN_ORG),
  fc.stringMatching(/^[A-Za-z0-9_-]{1,50}$/).map((id) => `${id}-${OWN_ORG}`),
);

/** The request as the one at its place in a batch. */
function placed(request: RawRequest, place: number): RawRequest {
  return { ...request, target: request.target.replace(OWN_ORG, place === 0 ? 'acme' : `o${place}`) };
}

const query = fc.oneof(
  fc.constant(''),
  fc.webQueryParameters().map((parameters) => `?${parameters}`),
  fc.stringMatching(/^[A-Za-z0-9_-]{1,64}$/).map((id) => `?session=${id}`),
  fc.constantFrom('?include_expired=true', '?include_expired=false', '?session=%00', '?include_expired=1'),
);

function target(route: Route): fc.Arbitrary<string> {
  return fc
    .tuple(orgId, query)
    .map(([org, search]) => route.path.replace('{id}', org).replace('{provider}', 'sandbox') + search);
}

function bodySchema(route: Route): JsonSchema | undefined {
  const described =
    document.paths[route.path]?.[route.method.toLowerCase()]?.requestBody?.content['application/json']
      ?.schema;
  return described === undefined ? undefined : components[String(described.$ref).split('/').at(-1) ?? ''];
}

const JSON_HEADERS = { 'X-API-Key': 'all', 'X-Correlation-Id': 'fuzz', 'Content-Type': 'application/json' };

/** Requests an operation must understand: what it answers may still be no. */
function understandable(route: Route): fc.Arbitrary<RawRequest> {
  const schema = bodySchema(route);
  const base = target(route).map((path) => ({ method: route.method, target: path, headers: JSON_HEADERS }));
  if (schema === undefined) return base;
  const body = schemaArbitrary(schema, components, WORDS).map((value) => JSON.stringify(value));
  return fc.tuple(base, body).map(([request, text]) => ({ ...request, body: text }));
}

/** Requests broken in one way: each must be refused as the caller's fault. */
function broken(route: Route): fc.Arbitrary<RawRequest> {
  const good = understandable(route);
  const ways: fc.Arbitrary<RawRequest>[] = [];
  if (route.path.includes('{id}')) {
    const badId = fc
      .string({ unit: 'binary', minLength: 1 })
      .map((text) => encodeURIComponent(text))
      .filter((text) => !/^[A-Za-z0-9_-]{1,64}$/.test(text) && text !== '.' && text !== '..');
    const id = fc.oneof(
      badId,
      fc.constantFrom('%zz', '%', '%ff', '__proto__', 'x'.repeat(65), '..%2f..', 'a%0d%0ab'),
    );
    ways.push(
      fc.tuple(good, id).map(([request, bad]) => ({ ...request, target: route.path.replace('{id}', bad) })),
    );
  }
  if (route.access !== 'public' && route.access !== 'signature') {
    const strangers = fc.constantFrom({}, { 'X-API-Key': 'nobody-s' }, { Authorization: 'Bearer all' });
    ways.push(
      fc.tuple(good, strangers).map(([request, headers]) => ({
        ...request,
        headers: { 'Content-Type': 'application/json', ...headers },
      })),
    );
  }
  const methods = fc.constantFrom('PATCH', 'DELETE', 'PROPFIND', 'PURGE', 'LINK');
  ways.push(fc.tuple(good, methods).map(([request, method]) => ({ ...request, method, body: '' })));
  const schema = bodySchema(route);
  if (schema !== undefined) {
    const valid = schemaArbitrary(schema, components, WORDS);
    ways.push(
      fc.tuple(good, brokenArbitrary(schema, valid)).map(([request, body]) => ({ ...request, body })),
    );
    const types = fc.constantFrom(
      'text/plain',
      'application/x-www-form-urlencoded',
      'application/json; charset=latin1',
      'application/xml',
      '',
    );
    ways.push(
      fc
        .tuple(good, types)
        .map(([request, type]) => ({ ...request, headers: { ...JSON_HEADERS, 'Content-Type': type } })),
    );
    ways.push(
      good.map((request) => ({ ...request, headers: { ...JSON_HEADERS, 'Content-Encoding': 'br' } })),
    );
  }
  if (route.body === 'bytes') {
    const bytes = fc.uint8Array({ maxLength: 200 });
    const signature = fc.oneof(
      fc.constant(undefined),
      fc.stringMatching(/^[\x21-\x7e]{0,80}$/),
      fc.constantFrom('t=1,v1=', 't=,v1=0', 'v1=00'),
    );
    ways.push(
      fc.tuple(good, bytes, signature).map(([request, body, given]) => ({
        ...request,
        headers: { ...JSON_HEADERS, ...(given === undefined ? {} : { 'Sandbox-Signature': given }) },
        body,
      })),
    );
    const signed = bytes.map((body) => ({
      headers: { ...JSON_HEADERS, ...fixture.provider.sign(body) },
      body,
    }));
    ways.push(fc.tuple(good, signed).map(([request, more]) => ({ ...request, ...more })));
    const names = fc
      .string({ unit: 'binary', minLength: 1 })
      .map((text) => encodeURIComponent(text))
      .filter((text) => text !== 'sandbox');
    ways.push(
      fc.tuple(good, names).map(([request, name]) => ({ ...request, target: `/billing/webhooks/${name}` })),
    );
  }
  return fc.oneof(...ways);
}

async function answersOf(request: RawRequest) {
  const bytes = rawBytes(request);
  const onExpress = await servers.Express(bytes);
  const onKoa = await servers.Koa(bytes);
  // A3. (Asked first: a failing assertion is worth its price, thousands of passing ones are not.)
  const answer = comparable(onExpress);
  if (comparable(onKoa) !== answer)
    expect({ request, answer: comparable(onKoa) }).toEqual({ request, answer });
  checkWire(request, onExpress);
  return onExpress;
}

function fuzz(
  arbitrary: fc.Arbitrary<RawRequest>,
  check: (request: RawRequest, status: number) => void,
): Promise<void> {
  const batch = fc.array(arbitrary, { minLength: BATCH, maxLength: BATCH });
  const property = fc.asyncProperty(batch, async (requests) => {
    await Promise.all(
      requests.map(async (given, place) => {
        const request = placed(given, place);
        const { status, headers } = await answersOf(request);
        if (!headers.has('x-request-id')) expect.fail(`Not answered by us: ${JSON.stringify(request)}`);
        check(request, status);
      }),
    );
  });
  return fc.assert(property, {
    numRuns: Math.ceil(RUNS / BATCH),
    endOnFailure: true,
    // The error names the one request; the whole batch would hide it.
    reporter({ failed, errorInstance, seed, counterexamplePath }) {
      if (failed) throw new Error(`Seed ${seed}, path ${counterexamplePath}.`, { cause: errorInstance });
    },
  });
}

describe.each(billingRoutes)('$operationId', (route) => {
  const described = Object.keys(
    document.paths[route.path]?.[route.method.toLowerCase()]?.responses ?? {},
  ).map(Number);

  test(`A3, A4: ${RUNS} requests it must understand get a described answer, the same on both frameworks, and no 5xx`, async () => {
    let done = 0;
    await fuzz(understandable(route), (request, status) => {
      // Well formed and allowed: neither the credentials nor the form of the body may be what is wrong.
      const isFine = described.includes(status) && status < 500 && ![401, 403, 413, 415].includes(status);
      if (!isFine) expect.fail(`${status} to ${JSON.stringify(request)}`);
      if (status === 200) done += 1;
    });
    if (route.access !== 'signature') expect(done).toBeGreaterThan(0);
  }, 120_000);

  test(`A3, A4: ${RUNS} broken requests are refused as the caller's fault, the same on both frameworks`, async () => {
    await fuzz(broken(route), (request, status) => {
      if (status < 400 || status >= 500) expect.fail(`${status} to ${JSON.stringify(request)}`);
    });
  }, 120_000);
});
