import type { Billing } from '../billing-interface.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import { describeError } from '../http/describe-error.ts';
import { type Engine, engineOf } from '../http/engine.ts';
import type { Passage } from '../http/passage.ts';
import { rateLimitHeaders } from '../http/rate-limit-headers.ts';
import { deniedReply, errorReply } from '../http/reply.ts';
import { requestIdOf } from '../http/request-id.ts';
import type { HttpReply, HttpRequest } from '../ports/http-message.ts';
import type { Admission, KeyCharge, ReservationHandle } from '../quota/types.ts';
import type {
  GuardKeys,
  GuardOptions,
  KeyedGuardOptions,
  PerRequest,
  ReleaseOptions,
} from './guard-options.ts';

/** How a guarded handler ended, as far as its adapter could see. */
export type Ending =
  /** It answered with this status. */
  | { readonly status: number }
  /** It threw, or failed in a way that tells nothing of what it created. */
  | 'failed'
  /** It may still be running: the client went away, or somebody answered in its stead. */
  | 'unseen';

/** The guard's decision on one request. */
export type Entered =
  | {
      readonly admitted: true;
      /** To be set on the response before the handler runs. */
      readonly headers: Readonly<Record<string, string>>;
      readonly reservation: ReservationHandle;
      /** To be called when the handler has ended; again, when more becomes known of an `unseen` end. Never throws. */
      readonly leave: (ending: Ending) => void;
    }
  | { readonly admitted: false; readonly reply: HttpReply };

/** A request on its way to a guarded handler. */
export interface GuardedRequest<R> {
  readonly request: HttpRequest;
  /** The framework's own request, which option functions are given. */
  readonly native: R;
  /** The billing router it passed; undefined when none. */
  readonly passage: Passage | undefined;
}

/** `requireQuota` without a framework: decides before the handler, settles after it. */
export type Guard<R> = (guarded: GuardedRequest<R>) => Promise<Entered>;

/**
 * Makes the guard of a route.
 *
 * A 2xx or 3xx keeps the units and a 4xx gives them back. After a 5xx or a throw nobody knows whether the row exists: the units stay
 * counted until a recount (metered units follow `onFailure`). A handler nobody saw the end of holds its units until the lease ends.
 */
export function createGuard<R extends object, K extends string>(
  keys: GuardKeys<K> | KeyedGuardOptions<R, K>,
  given: GuardOptions<R, K> = {},
): Guard<R> {
  const options = isKeyed<R, K>(keys) ? keys : given;
  const charged: PerRequest<R, GuardKeys<K>> = isKeyed<R, K>(keys) ? keys.key : keys;

  return async ({ request, native, passage }) => {
    const engine = findEngine(passage, options.billing);
    const requestId = requestIdOf(request, engine.ids);
    try {
      const org = await orgOf(request, native, options.org, engine);
      const admission = await engine.billing.reserve({
        org,
        charges: await chargesOf(native, charged, options),
        ...defined('idempotencyKey', await resolve(options.idempotencyKey, native)),
        ...defined('onStoreError', await resolve(options.onStoreError, native)),
        ...defined('onFailure', await resolve(options.onFailure, native)),
      });
      if (admission.admitted) return entered(admission, engine);
      const basePath = engine.settings.basePath ?? passage?.basePath ?? '';
      const upgradeLink = `${basePath}/orgs/${org}/billing/upgrade-options`;
      const status = options.deniedStatus ?? engine.settings.deniedStatus;
      const headers = rateLimitHeaders(admission.quotas, admission.denied, engine.clock.now(), upgradeLink);
      return {
        admitted: false,
        reply: deniedReply({ status, keys: admission.denied.map((quota) => quota.key), requestId, headers }),
      };
    } catch (error) {
      if (!(error instanceof TollgateError) || error.status === 500) {
        engine.logger.error('a quota guard failed', { requestId, ...describeError(error) });
      }
      return { admitted: false, reply: errorReply(error, requestId) };
    }
  };
}

function findEngine(passage: Passage | undefined, given: Billing | undefined): Engine {
  if (given !== undefined) return engineOf(given);
  if (passage !== undefined) return passage.engine;
  throw new TollgateError('invalid_configuration', {
    message:
      'This guard knows no engine. Mount billingRouter(billing) before the route, or pass { billing } to the guard.',
  });
}

function entered(admission: Extract<Admission, { admitted: true }>, engine: Engine): Entered {
  const { reservation } = admission;
  reservation.keepAlive();
  // The handle settles once; a failed settle is logged where it is made, and the lease decides then.
  const leave = (ending: Ending) => void settle(reservation, ending)?.catch(() => undefined);
  return {
    admitted: true,
    headers: rateLimitHeaders(admission.quotas, [], engine.clock.now(), null),
    reservation,
    leave,
  };
}

function settle(reservation: ReservationHandle, ending: Ending): Promise<unknown> | undefined {
  if (ending === 'unseen') {
    reservation.letLapse();
    return undefined;
  }
  if (ending === 'failed' || ending.status >= 500) return reservation.abandon();
  return ending.status >= 400 ? reservation.release() : reservation.commit();
}

async function orgOf<R>(
  request: HttpRequest,
  native: R,
  given: PerRequest<R, string> | undefined,
  { settings }: Engine,
): Promise<string> {
  const org = given === undefined ? await settings.org?.(request) : await resolve(given, native);
  if (org === undefined && given === undefined && settings.org === undefined) {
    throw new TollgateError('invalid_configuration', {
      message: 'This guard knows no org. Pass { org } to the guard, or the option `org` to createBilling.',
    });
  }
  // Nobody known: nothing is charged, nothing is created.
  if (org == null || org === '') throw new TollgateError('unauthorized');
  return org;
}

async function chargesOf<R, K extends string>(
  native: R,
  keys: PerRequest<R, GuardKeys<K>>,
  options: Pick<GuardOptions<R, K>, 'amount' | 'scope'>,
): Promise<readonly KeyCharge<K>[]> {
  const named: GuardKeys<K> = await resolveGiven(keys, native);
  const amount = await resolve(options.amount, native);
  const session = await resolve(options.scope, native);
  const list = typeof named === 'string' ? [named] : named;
  return list.map((item) =>
    typeof item === 'string'
      ? { key: item, ...defined('amount', amount), ...defined('session', session) }
      : item,
  );
}

/** `releaseQuota` without a framework: says after a successful delete that units came free. Waits for nothing to be decided. */
export function createRelease<R extends object, K extends string>(
  key: K,
  options: ReleaseOptions<R, K> = {},
): (guarded: GuardedRequest<R>) => Promise<void> {
  return async ({ request, native, passage }) => {
    const engine = findEngine(passage, options.billing);
    try {
      await engine.billing.release({
        org: await orgOf(request, native, options.org, engine),
        key,
        ...defined('amount', await resolve(options.amount, native)),
        ...defined('session', await resolve(options.scope, native)),
        ...defined('idempotencyKey', await resolve(options.idempotencyKey, native)),
      });
    } catch (error) {
      // The row is gone and the client is told so; the count is found out of date at the next refusal.
      engine.telemetry.count('tollgate.unreleased', 1, { key });
      engine.logger.warn('a delete could not be reported to the counter store', {
        key,
        ...describeError(error),
      });
    }
  };
}

function resolve<R, T>(value: PerRequest<R, T> | undefined, native: R): T | Promise<T> | undefined {
  return value === undefined ? undefined : resolveGiven(value, native);
}

function resolveGiven<R, T>(value: PerRequest<R, T>, native: R): T | Promise<T> {
  return typeof value === 'function' ? (value as (request: R) => T | Promise<T>)(native) : value;
}

function defined<N extends string, T>(name: N, value: T | undefined): { readonly [P in N]?: T } {
  return value === undefined ? {} : ({ [name]: value } as { [P in N]: T });
}

function isKeyed<R, K extends string>(
  keys: GuardKeys<K> | KeyedGuardOptions<R, K>,
): keys is KeyedGuardOptions<R, K> {
  return typeof keys === 'object' && !Array.isArray(keys);
}
