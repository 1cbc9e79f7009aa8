import {
  type Billing,
  createFriction,
  createStandingOf,
  type FrictionOptions,
  type RegisteredKey,
  type StageAt,
  type StandingOptions,
} from '@tollgate/core';
import type { Request, RequestHandler } from 'express';
import { guardedRequest } from './express-request.ts';
import type { Middleware } from './middleware.ts';

/**
 * Delays requests of an org that is degraded by `level x maxDelayMs`, admins' excepted, and refuses none. An org is degraded
 * once it was above its plan for longer than the warned stage; docs/over-capacity.md of the project's repository has the rest.
 *
 * ```ts
 * app.post('/doors/:id/open', friction('door_opens'), openDoor);
 * ```
 */
export function friction<K extends string = RegisteredKey>(
  // An engine that is given brings its own keys.
  key: NoInfer<K>,
  options: Omit<FrictionOptions<Request>, 'billing'> & { readonly billing?: Billing<K> } = {},
): Middleware {
  const hold = createFriction<Request>(key, options);
  const frictionDelay: RequestHandler = async (req, res, next) => {
    try {
      // A stream that somebody began for the handler is no answer in its stead.
      const isBegun = res.headersSent;
      const { headers, proceed } = await hold(guardedRequest(req), res);
      if (!proceed || (isBegun ? res.writableEnded : res.headersSent)) return;
      if (!isBegun) res.set(headers);
    } catch (error) {
      next(error);
      return;
    }
    next();
  };
  return frictionDelay as Middleware;
}

/**
 * Where the org of this request stands, for a host that would rather shrink a page or a batch: level 0 to 1.
 *
 * @throws TollgateError `invalid_org_id`, `quota_unavailable`, `repository_unavailable`, or `invalid_configuration` without an engine or org
 */
export async function degradation(req: Request, options: StandingOptions<Request> = {}): Promise<StageAt> {
  const standingOf = createStandingOf<Request>(options);
  const { stage, level } = await standingOf(guardedRequest(req));
  return { stage, level };
}
