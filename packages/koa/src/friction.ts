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
 * Delays requests of an org that is degraded by `level x maxDelayMs`, admins' excepted, and refuses none. An org is degraded
 * once it was above its plan for longer than the warned stage; docs/over-capacity.md of the project's repository has the rest.
 *
 * ```ts
 * router.post('/doors/:id/open', friction('door_opens'), openDoor);
 * ```
 */
export function friction<K extends string = RegisteredKey>(
  // An engine that is given brings its own keys.
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
 * Where the org of this request stands, for a host that would rather shrink a page or a batch: level 0 to 1.
 *
 * @throws TollgateError `invalid_org_id`, `quota_unavailable`, `repository_unavailable`, or `invalid_configuration` without an engine or org
 */
export async function degradation(ctx: Context, options: StandingOptions<Context> = {}): Promise<StageAt> {
  const standingOf = createStandingOf<Context>(options);
  const { stage, level } = await standingOf(guardedRequest(ctx));
  return { stage, level };
}
