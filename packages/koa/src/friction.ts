import {
  type Billing,
  createFriction,
  createStandingOf,
  type FrictionOptions,
  type RegisteredKey,
  type StageAt,
  type StandingOptions,
} from '@tollgate/core';
import type { Context, Middleware } from 'koa';
import { keepHeaders } from './keep-headers.ts';
import { guardedRequest } from './koa-request.ts';

/**
 * Delays requests of a degraded org by `level x maxDelayMs`, except those of admins, and refuses none. An org is degraded once it has
 * been above its plan for longer than the warned stage. docs/over-capacity.md of the project's repository has the details.
 *
 * ```ts
 * router.post('/doors/:id/open', friction('door_opens'), openDoor);
 * ```
 */
export function friction<K extends string = RegisteredKey>(
  // A given engine brings its own keys.
  key: NoInfer<K>,
  options: Omit<FrictionOptions<Context>, 'billing'> & { readonly billing?: Billing<K> } = {},
): Middleware {
  const hold = createFriction<Context>(key, options);
  return async function frictionDelay(ctx, next) {
    const { headers, proceed } = await hold(guardedRequest(ctx), ctx.res);
    if (!proceed) return;
    ctx.set(headers);
    keepHeaders(ctx, headers);
    await next();
  };
}

/**
 * The stage and level (0 to 1) of this request's org, for a host that would rather shrink a page or a batch than delay it.
 *
 * @throws TollgateError `invalid_org_id`, `quota_unavailable`, `repository_unavailable`, or `invalid_configuration` when there is no
 * engine or no org
 */
export async function degradation(ctx: Context, options: StandingOptions<Context> = {}): Promise<StageAt> {
  const standingOf = createStandingOf<Context>(options);
  const { stage, level } = await standingOf(guardedRequest(ctx));
  return { stage, level };
}
