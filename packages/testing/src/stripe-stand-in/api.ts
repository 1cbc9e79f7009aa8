import { createHash } from 'node:crypto';
import { ApiError } from './api-error.ts';
import type { Books } from './books.ts';
import type { Answer, Endpoint } from './endpoint.ts';
import { catalogEndpoints } from './endpoints/catalog.ts';
import { checkoutEndpoints } from './endpoints/checkout.ts';
import { customerEndpoints } from './endpoints/customers.ts';
import { eventEndpoints } from './endpoints/events.ts';
import { portalEndpoints } from './endpoints/portal.ts';
import { scheduleEndpoints } from './endpoints/schedules.ts';
import { subscriptionEndpoints } from './endpoints/subscriptions.ts';
import { parseForm } from './form.ts';
import type { Dunning } from './invoices.ts';
import { readParameters } from './parameters.ts';
import { listOf, render } from './render.ts';
import { thinEvent } from './thin-event.ts';

/** Every operation the stand-in supports. */
export const ENDPOINTS: readonly Endpoint[] = [
  ...catalogEndpoints,
  ...customerEndpoints,
  ...checkoutEndpoints,
  ...portalEndpoints,
  ...subscriptionEndpoints,
  ...scheduleEndpoints,
  ...eventEndpoints,
];
const DAY_S = 86_400;

/** A request to the API. */
export interface ApiRequest {
  readonly method: string;
  readonly path: string;
  readonly query: string;
  readonly body: string;
  readonly header: (name: string) => string | undefined;
}

export interface ApiResponse {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

interface Remembered {
  readonly fingerprint: string;
  readonly at: number;
  readonly response: ApiResponse;
}

export interface Api {
  answer(request: ApiRequest): ApiResponse;
  /** Stores a response for the request's idempotency key, if it has one. */
  remember(request: ApiRequest, response: ApiResponse): void;
}

/** Answers API requests as Stripe does: keys, versions, idempotency, pagination, and errors in its shape. */
export function createApi(options: {
  readonly books: Books;
  readonly dunning: Dunning;
  readonly secretKey: string;
  readonly apiVersion: string;
}): Api {
  const { books, dunning } = options;
  const remembered = new Map<string, Remembered>();

  function answer(request: ApiRequest): ApiResponse {
    const requestId = books.id('req');
    const version = request.header('stripe-version') ?? options.apiVersion;
    const respond = (status: number, value: unknown, extra: Record<string, string> = {}): ApiResponse => ({
      status,
      headers: {
        'content-type': 'application/json',
        'request-id': requestId,
        'stripe-version': version,
        ...extra,
      },
      body: JSON.stringify(value),
    });
    try {
      authenticate(request);
      const key = request.method === 'POST' ? request.header('idempotency-key') : undefined;
      if (key === undefined) return respond(200, run(request, version, requestId, null));
      if (key.length > 255) throw idempotencyError('Idempotency keys can have up to 255 characters.');
      const fingerprint = fingerprintOf(request);
      const before = remembered.get(key);
      if (before !== undefined && books.now() - before.at < DAY_S) {
        if (before.fingerprint !== fingerprint)
          throw idempotencyError(
            'Keys for idempotent requests can only be used with the same parameters they were first used with.',
          );
        const headers = { ...before.response.headers, 'idempotent-replayed': 'true' };
        return { ...before.response, headers };
      }
      const response = respond(200, run(request, version, requestId, key));
      remember(request, response);
      return response;
    } catch (error) {
      if (!(error instanceof ApiError)) throw error;
      return respond(error.status, error.body);
    }
  }

  function remember(request: ApiRequest, response: ApiResponse): void {
    const key = request.header('idempotency-key');
    if (key !== undefined)
      remembered.set(key, { fingerprint: fingerprintOf(request), at: books.now(), response });
  }

  function authenticate(request: ApiRequest): void {
    if (request.header('authorization') !== `Bearer ${options.secretKey}`)
      throw new ApiError(401, { type: 'invalid_request_error', message: 'Invalid API Key provided.' });
  }

  function run(request: ApiRequest, version: string, id: string, idempotencyKey: string | null): unknown {
    const thinId = /^\/v2\/core\/events\/([^/]+)$/.exec(request.path)?.[1];
    if (request.method === 'GET' && thinId !== undefined) {
      const event = thinEvent(books, decodeURIComponent(thinId));
      if (event === null)
        throw new ApiError(404, {
          type: 'invalid_request_error',
          code: 'not_found',
          message: 'No such event.',
        });
      return event;
    }
    const found = match(request);
    books.request = { id, idempotencyKey };
    try {
      const given = parseForm(request.method === 'POST' ? request.body : request.query);
      const params = readParameters(given, found.endpoint.checks);
      const { expand = [] } = params as { readonly expand?: readonly string[] };
      const result = found.endpoint.run({ books, dunning, id: found.id, params });
      if ('list' in result) return page(result, params, version, expand);
      return render(books, result, version, expand);
    } finally {
      books.request = null;
    }
  }

  function page(
    { list, url }: Extract<Answer, { readonly list: unknown }>,
    params: { readonly limit?: number; readonly starting_after?: string },
    version: string,
    expand: readonly string[],
  ) {
    const limit = params.limit ?? 10;
    if (limit < 1 || limit > 100)
      throw new ApiError(400, { type: 'invalid_request_error', message: 'Invalid limit.', param: 'limit' });
    const after = list.findIndex(({ id }) => id === params.starting_after);
    const rest = list.slice(after + 1);
    const inside = expand.filter((path) => path.startsWith('data.')).map((path) => path.slice(5));
    const items = rest.slice(0, limit).map((one) => render(books, one, version, inside));
    return listOf(items, url, rest.length > limit);
  }

  return { answer, remember };
}

function fingerprintOf({ path, body }: ApiRequest): string {
  return createHash('sha256').update(`${path}\n${body}`).digest('hex');
}

function match(request: ApiRequest): { readonly endpoint: Endpoint; readonly id: string } {
  const steps = request.path.split('/');
  for (const endpoint of ENDPOINTS) {
    const wanted = endpoint.path.split('/');
    if (endpoint.method !== request.method || wanted.length !== steps.length) continue;
    if (!wanted.every((step, index) => step === ':id' || step === steps[index])) continue;
    return { endpoint, id: decodeURIComponent(steps[wanted.indexOf(':id')] ?? '') };
  }
  throw new ApiError(404, {
    type: 'invalid_request_error',
    message: `Unrecognized request URL (${request.method}: ${request.path}). The stand-in may not have it.`,
  });
}

function idempotencyError(message: string): ApiError {
  return new ApiError(400, { type: 'idempotency_error', message });
}
