import type { RequestListener } from 'node:http';
import type { Billing } from '@tollgate/core';
import { billingRouter, keepRawBody } from '@tollgate/express';
import type { ServerHost } from '@tollgate/testing';
import express from 'express';
import { type ListeningServer, listen, unlisten } from './listen.ts';

/** Every way a host mounts the routes on Express; which Express is the test file's choice. */
export function expressHosts(version: string): readonly ServerHost<ListeningServer>[] {
  return [
    host(`${version}, bare`, '', (billing) => quiet().use(billingRouter(billing))),
    host(`${version}, under a mount path`, '/api/v1', (billing) =>
      quiet().use('/api/v1', billingRouter(billing)),
    ),
    host(`${version}, with a prefix`, '/api/v1', (billing) =>
      quiet().use(billingRouter(billing, { prefix: '/api/v1' })),
    ),
    {
      ...host(`${version}, behind a JSON parser`, '', (billing) =>
        quiet().use(express.json({ verify: keepRawBody }), billingRouter(billing)),
      ),
      parsesFirst: true,
    },
    // On Express 4 such a parser leaves an empty object where it read nothing.
    host(`${version}, behind a parser of forms`, '', (billing) =>
      quiet().use(express.urlencoded({ extended: false }), billingRouter(billing)),
    ),
    {
      ...host(`${version}, before a JSON parser`, '/billing-api', (billing) =>
        quiet().use('/billing-api', billingRouter(billing), express.json()),
      ),
    },
  ];
}

function quiet(): express.Express {
  const app = express();
  app.set('env', 'test');
  return app;
}

function host(
  name: string,
  basePath: string,
  mount: (billing: Billing) => RequestListener,
): ServerHost<ListeningServer> {
  return { name, create: (billing) => listen(mount(billing), basePath), teardown: unlisten };
}
