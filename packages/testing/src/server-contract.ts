import { type Billing, createBilling } from '@tollgate/core';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { type RawResponse, rawBytes, rawExchange } from './raw-exchange.ts';
import { serverFixture } from './server-fixture.ts';
import type { ServerRequest } from './server-requests/server-request.ts';
import { mountRequest, serverRequests } from './server-requests/server-requests.ts';

/** A server that listens on loopback, with the billing routes mounted. */
export interface RunningServer {
  readonly port: number;
  /** Where the routes are mounted; empty for the root. */
  readonly basePath: string;
}

/** What the server contract runs on. */
export interface ServerHost<S extends RunningServer = RunningServer> {
  /** Shown in the names of the tests. */
  readonly name: string;
  /** Starts a server of the framework with the engine's routes mounted. */
  create(billing: Billing): Promise<S> | S;
  teardown(server: S): Promise<void> | void;
  /**
   * Whether a JSON parser runs before the routes. Requests that such a parser may answer by itself are then left out.
   * @default false
   */
  readonly parsesFirst?: boolean;
  /** Called with every response, for further checks such as its schema. */
  readonly inspect?: (request: ServerRequest, response: RawResponse) => void;
}

/** Checks that a server follows the billing API to the letter: every operation, and every kind of request that is refused. */
export function serverContract<S extends RunningServer>(host: ServerHost<S>): void {
  describe(`server contract: ${host.name}`, () => {
    const fixture = serverFixture();
    let billing: Billing;
    let server: S;

    beforeAll(async () => {
      billing = createBilling(fixture.options) as Billing;
      server = await host.create(billing);
    });
    afterAll(async () => {
      await host.teardown(server);
      await billing.close();
    });

    for (const wanted of serverRequests(fixture.provider)) {
      if (host.parsesFirst === true && wanted.parserMayAnswer !== undefined) continue;
      test(wanted.name, async () => {
        const bytes = rawBytes(mountRequest(wanted.request, server.basePath));
        const response = await rawExchange(server.port, bytes);
        checkAnswer(wanted, response);
        host.inspect?.(wanted, response);
      });
    }

    test('nothing that was refused is logged as a failure of ours', () => {
      expect(fixture.logged).toEqual([]);
    });
  });
}

/** Compares a response with what the table expects. */
export function checkAnswer(wanted: ServerRequest, response: RawResponse): void {
  const { status, headers, body } = response;
  expect({ status, body: status === wanted.status ? '' : body }).toEqual({ status: wanted.status, body: '' });
  for (const [name, value] of Object.entries(wanted.headers ?? {})) {
    expect([name, headers.get(name) ?? null]).toEqual([name, value]);
  }
  if (wanted.request.method === 'HEAD' || status === 204) expect(body).toBe('');
  if (wanted.code !== undefined) {
    const { message, ...rest } = JSON.parse(body);
    expect(typeof message).toBe('string');
    expect(rest).toEqual({ error_code: wanted.code, correlationId: headers.get('x-request-id') });
  }
  if (wanted.body !== undefined) expect(JSON.parse(body)).toMatchObject(wanted.body);
}
