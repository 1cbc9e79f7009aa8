import { type Billing, createBilling } from '@tollgate/core';
import {
  mountRequest,
  rawBytes,
  rawExchange,
  type ServerHost,
  serverFixture,
  serverRequests,
} from '@tollgate/testing';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { comparable } from './comparable.ts';
import type { ListeningServer } from './listen.ts';

/** A3: sends the same bytes of every request of the contract to several servers on one engine, and compares what comes back. */
export function parity(hosts: readonly ServerHost<ListeningServer>[]): void {
  describe(`A3: equal answers from ${hosts.map(({ name }) => name).join('; ')}`, () => {
    const fixture = serverFixture();
    let billing: Billing;
    let servers: readonly ListeningServer[] = [];

    beforeAll(async () => {
      billing = createBilling(fixture.options) as Billing;
      servers = await Promise.all(hosts.map((host) => host.create(billing)));
    });
    afterAll(async () => {
      await Promise.all(servers.map((server, index) => hosts[index]?.teardown(server)));
      await billing.close();
    });

    for (const { name, request, parserMayAnswer, status } of serverRequests(fixture.provider)) {
      // What is not ours is answered by the framework itself.
      if (
        status === 404 &&
        request.target !== '/orgs/acme/billing/degradation/resource' &&
        !request.target.includes('webhooks')
      )
        continue;
      test(name, async () => {
        const answers: { server: string; answer: string }[] = [];
        for (const [index, server] of servers.entries()) {
          const host = hosts[index];
          if (host === undefined || (host.parsesFirst === true && parserMayAnswer !== undefined)) continue;
          const response = await rawExchange(server.port, rawBytes(mountRequest(request, server.basePath)));
          answers.push({ server: host.name, answer: comparable(response) });
        }
        expect(answers.length).toBeGreaterThan(1);
        expect(answers).toEqual(answers.map(({ server }) => ({ server, answer: answers[0]?.answer })));
      });
    }
  });
}
