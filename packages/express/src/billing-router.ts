import {
  attachPassage,
  type Billing,
  type BillingOptions,
  billingPaths,
  billingRoutes,
  createBilling,
  dispatch,
  dispatchPath,
  engineOf,
  isBilling,
  matchPath,
  mountPrefix,
  rawPath,
} from '@tollgate/core';
import { type NextFunction, type Request, type Response, Router } from 'express';
import { expressRequest } from './express-request.ts';
import { sendReply } from './send-reply.ts';

export interface BillingRouterOptions {
  /**
   * Path of the routes, appended to the path where the router is mounted: `'/api/v1'`.
   * @default none
   */
  readonly prefix?: string;
}

/**
 * The billing routes as an Express router. Mount it at any path, before or after a body parser. Requests that are not for the
 * billing API go on to the host's next handler untouched.
 *
 * ```ts
 * app.use('/api/v1', billingRouter(billing));
 * ```
 *
 * @param billing - what `createBilling` returned, or its options.
 * @throws TollgateError `invalid_configuration`, naming every fault of the options.
 */
export function billingRouter<K extends string>(
  billing: Billing<K> | BillingOptions<K>,
  options: BillingRouterOptions = {},
): Router {
  const engine = engineOf(isBilling(billing) ? billing : createBilling(billing));
  const prefix = mountPrefix(options.prefix);
  const router = Router({ caseSensitive: true, strict: true });

  router.use(function billingPassage(req, _res, next) {
    const mount = rawPath(req.baseUrl);
    attachPassage(req, { engine, basePath: mount + prefix }, mount + rawPath(req.url));
    next();
  });

  for (const route of billingRoutes) {
    const method = route.method.toLowerCase() as Lowercase<typeof route.method>;
    router[method](prefix + toExpressPath(route.path), function billingOperation(req, res, next) {
      // Express 4 ignores what a handler returns.
      dispatch(engine, route, expressRequest(req))
        .then((reply) => sendReply(res, reply))
        .catch(next);
    });
  }

  /** Answers other methods of our paths, and path segments that Express could not decode. */
  function answerRest(error: unknown, req: Request, res: Response, next: NextFunction): void {
    const ours = billingPaths.find((path) => matchPath(path, rawPath(req.url))?.basePath === prefix);
    if (ours === undefined || !(error === undefined || error instanceof URIError)) {
      next(error);
      return;
    }
    dispatchPath(engine, ours, expressRequest(req))
      .then((reply) => sendReply(res, reply))
      .catch(next);
  }
  router.use((req, res, next) => answerRest(undefined, req, res, next));
  router.use(answerRest);

  return router;
}

function toExpressPath(path: string): string {
  return path.replace(/\{(\w+)\}/g, ':$1');
}
