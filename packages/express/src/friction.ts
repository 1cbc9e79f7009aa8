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
 * Delays requests of a degraded org by `level x maxDelayMs`, except those of admins, and refuses none. An org is degraded once it has
 * been above its plan for longer than the warned stage. docs/over-capacity.md of the project's repository has the details.
 *
 * ```ts
 * app.post('/doors/:id/open', friction('door_opens'), openDoor);
 * ```
 */
export function friction<K extends string = RegisteredKey>(
  // A given engine brings its own keys.
  key: NoInfer<K>,
  options: Omit<FrictionOptions<Request>, 'billing'> & { readonly billing?: Billing<K> } = {},
): Middleware {
  const hold = createFriction<Request>(key, options);
  const frictionDelay: RequestHandler = async (req, res, next) => {
    try {
      // A stream that earlier middleware began for the handler is no answer in its place.
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
 * The stage and level (0 to 1) of this request's org, for a host that would rather shrink a page or a batch than delay it.
 *
 * @throws TollgateError `invalid_org_id`, `quota_unavailable`, `repository_unavailable`, or `invalid_configuration` when there is no
 * engine or no org
 */
export async function degradation(req: Request, options: StandingOptions<Request> = {}): Promise<StageAt> {
  const standingOf = createStandingOf<Request>(options);
  const { stage, level } = await standingOf(guardedRequest(req));
  return { stage, level };
}
