import { bodyParser } from '@koa/bodyparser';
import { Router } from '@koa/router';
import type { Billing } from '@tollgate/core';
import { billingRouter, keepRawBody } from '@tollgate/koa';
import type { ServerHost } from '@tollgate/testing';
import type Koa from 'koa';
import mount from 'koa-mount';
import { type ListeningServer, listen, unlisten } from './listen.ts';

/** Every way a host mounts the routes on Koa, of either version. */
export function koaHosts(version: string, create: () => Koa): readonly ServerHost<ListeningServer>[] {
  const host = (
    name: string,
    basePath: string,
    use: (app: Koa, billing: Billing) => void,
  ): ServerHost<ListeningServer> => ({
    name: `${version}, ${name}`,
    create(billing) {
      const app = create();
      app.silent = true;
      use(app, billing);
      return listen(app.callback(), basePath);
    },
    teardown: unlisten,
  });
  return [
    host('bare', '', (app, billing) => app.use(billingRouter(billing))),
    host('under koa-mount', '/api/v1', (app, billing) => app.use(mount('/api/v1', billingRouter(billing)))),
    host('with a prefix', '/api/v1', (app, billing) =>
      app.use(billingRouter(billing, { prefix: '/api/v1' })),
    ),
    host('nested in another router', '/api/v1', (app, billing) => {
      app.use(new Router().use('/api/v1', billingRouter(billing)).routes());
    }),
    {
      ...host('behind a body parser that keeps the text', '', (app, billing) => {
        app.use(bodyParser()).use(billingRouter(billing));
      }),
      parsesFirst: true,
    },
    {
      ...host('behind a body parser whose bytes are kept', '', (app, billing) => {
        app.use(keepRawBody).use(bodyParser()).use(forgetText).use(billingRouter(billing));
      }),
      parsesFirst: true,
    },
  ];
}

/** Undoes what this one parser does for webhooks, as most others do nothing for them. */
const forgetText: Koa.Middleware = (ctx, next) => {
  delete (ctx.request as { rawBody?: string }).rawBody;
  return next();
};
