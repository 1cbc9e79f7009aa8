import type { Billing } from '../billing-interface.ts';
import { describeError } from '../errors/describe-error.ts';
import { describeFailure } from '../errors/describe-failure.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import { type Engine, engineOf } from '../http/engine.ts';
import type { Passage } from '../http/passage.ts';
import { rateLimitHeaders } from '../http/rate-limit-headers.ts';
import { deniedReply, errorReply } from '../http/reply.ts';
import { requestIdOf } from '../http/request-id.ts';
import { isPending } from '../is-pending.ts';
import type { HttpReply, HttpRequest } from '../ports/http-message.ts';
import { settleUnawaited } from '../quota/reservation-handle.ts';
import type {
  Admission,
  KeyCharge,
  OnStoreError,
  ReservationHandle,
  ReserveRequest,
} from '../quota/types.ts';
import { warnSometimes } from '../warn-sometimes.ts';
import { checkGuardOptions, checkIsOptions } from './check-guard-options.ts';
import type {
  GuardKeys,
  GuardOptions,
  KeyedGuardOptions,
  PerRequest,
  ReleaseOptions,
} from './guard-options.ts';
import { perRequest } from './per-request.ts';

/** How a guarded handler ended, as far as the adapter could see. */
export type Ending =
  /** It answered with this status. */
  | { readonly status: number }
  /** It threw, or failed in a way that does not show what it created. */
  | 'failed'
  /** It may still be running: the client disconnected, or something else answered in its place. */
  | 'unseen';

/** The guard's decision on one request. */
export type Entered =
  | {
      readonly admitted: true;
      /** Set these on the response before the handler runs. */
      readonly headers: Readonly<Record<string, string>>;
      readonly reservation: ReservationHandle;
      /** Call it when the handler has ended, and again if more becomes known after `unseen`. Never throws. */
      leave(ending: Ending): void;
    }
  | { readonly admitted: false; readonly reply: HttpReply };

/** The options' values for one request. */
interface GuardValues<K extends string> {
  readonly key: GuardKeys<K>;
  readonly org: string;
  readonly amount: number;
  readonly scope: string;
  readonly idempotencyKey: string;
  readonly onStoreError: OnStoreError;
  readonly onFailure: 'release' | 'charge';
}

const VALUES = ['key', 'org', 'amount', 'scope', 'idempotencyKey', 'onStoreError', 'onFailure'] as const;

/** A request on its way to a guarded handler. */
export interface GuardedRequest<R> {
  /** Called only when it is needed: most guards do without. */
  request(): HttpRequest;
  /** The framework's own request, which option functions are called with. */
  readonly native: R;
  /** Its billing router, among those it passed; undefined if there is none. */
  passage(): Passage | undefined;
}

/** `requireQuota` without a framework: decides before the handler, settles after it. */
export type Guard<R> = (guarded: GuardedRequest<R>) => Promise<Entered>;

/**
 * Creates the guard of a route.
 *
 * A 2xx or 3xx keeps the units, and a 4xx gives them back. After a 5xx or a throw nobody knows whether the row exists: the units stay
 * counted until a recount (metered units follow `onFailure`). If the end of the handler was not seen, its units stay held until the
 * lease ends.
 *
 * @throws TollgateError `invalid_configuration` for a fault in its options
 */
export function createGuard<R extends object, K extends string>(
  keys: GuardKeys<K> | KeyedGuardOptions<R, K>,
  given: GuardOptions<R, K> = {},
): Guard<R> {
  checkIsOptions('requireQuota', given);
  const options = isKeyed<R, K>(keys) ? withGiven(keys, given) : { ...given, key: keys };
  checkGuardOptions('requireQuota', options);
  const resolve = perRequest<R, GuardValues<K>>(pick(options, VALUES));
  const fixed = fixedCharges(options);
  /** The engine whose catalog is known to have all of this guard's fixed keys. */
  let checked: Engine | null = null;

  function orgFor(values: Partial<GuardValues<K>>, guarded: GuardedRequest<R>, engine: Engine) {
    return options.org === undefined ? orgOf(guarded.request(), engine) : values.org;
  }

  function enter(
    guarded: GuardedRequest<R>,
    engine: Engine,
    values: Partial<GuardValues<K>>,
    known: string | null | undefined,
  ): Promise<Entered> {
    const org = requireOrg(known);
    const charges = fixed ?? chargesOf(values);
    if (checked !== engine && typeof options.key !== 'function') {
      checkKeys(charges, engine);
      checked = engine;
    }
    const { onStoreError, onFailure } = values;
    const request: { -readonly [N in keyof ReserveRequest]: ReserveRequest[N] } = { org, charges };
    if (onStoreError !== undefined) request.onStoreError = onStoreError;
    if (onFailure !== undefined) request.onFailure = onFailure;
    // Some frameworks return an empty string for an absent header: both mean that there is no key.
    if (values.idempotencyKey) request.idempotencyKey = values.idempotencyKey;
    return engine.billing.reserve(request).then(
      (admission) =>
        admission.admitted
          ? entered(admission, guarded.native, engine)
          : denied(admission, org, guarded, engine),
      (error) => failed(error, guarded, engine),
    );
  }

  async function enterLater(
    guarded: GuardedRequest<R>,
    engine: Engine,
    resolving: Partial<GuardValues<K>> | Promise<Partial<GuardValues<K>>>,
    orgLookup?: PromiseLike<string | null | undefined>,
  ): Promise<Entered> {
    try {
      const values = await resolving;
      return await enter(guarded, engine, values, await (orgLookup ?? orgFor(values, guarded, engine)));
    } catch (error) {
      return failed(error, guarded, engine);
    }
  }

  function denied(
    admission: Extract<Admission, { admitted: false }>,
    org: string,
    guarded: GuardedRequest<R>,
    { settings, clock, ids }: Engine,
  ): Entered {
    refused.add(guarded.native);
    const basePath = settings.basePath ?? guarded.passage()?.basePath ?? '';
    const upgradeLink = `${basePath}/orgs/${encodeURIComponent(org)}/billing/upgrade-options`;
    const status = options.deniedStatus ?? settings.deniedStatus;
    const headers = rateLimitHeaders(admission.quotas, admission.denied, clock.now(), upgradeLink);
    const requestId = requestIdOf(guarded.request(), ids);
    return {
      admitted: false,
      reply: deniedReply({ status, keys: admission.denied.map((quota) => quota.key), requestId, headers }),
    };
  }

  // Not async, since every create passes here, and nearly always everything is known synchronously.
  return (guarded) => {
    let engine: Engine;
    try {
      engine = findEngine(guarded, options.billing);
    } catch (error) {
      refused.add(guarded.native);
      return Promise.reject(error);
    }
    try {
      const values = resolve(guarded.native);
      if (isPending(values)) return enterLater(guarded, engine, values);
      const org = orgFor(values, guarded, engine);
      if (isPending(org)) return enterLater(guarded, engine, values, org);
      return enter(guarded, engine, values, org);
    } catch (error) {
      return Promise.resolve(failed(error, guarded, engine));
    }
  };
}

/** Requests that a guard refused. Their handler does not run, so earlier guards give their units back even if they see no response. */
const refused = new WeakSet<object>();

/** The reply to a request that could not be decided. */
function failed<R extends object>(
  error: unknown,
  guarded: GuardedRequest<R>,
  { ids, logger }: Engine,
): Entered {
  refused.add(guarded.native);
  const requestId = requestIdOf(guarded.request(), ids);
  if (!(error instanceof TollgateError) || error.status === 500) {
    logger.error('a quota guard failed', { requestId, ...describeError(error) });
  }
  return { admitted: false, reply: errorReply(error, requestId) };
}

/** The engine that was passed, else that of the router the request came through. */
export function findEngine(guarded: GuardedRequest<unknown>, given: Billing | undefined): Engine {
  if (given !== undefined) return engineOf(given);
  const passage = guarded.passage();
  if (passage !== undefined) return passage.engine;
  throw new TollgateError('invalid_configuration', {
    message:
      'This guard knows no engine: the request passed no billingRouter. Mount it before the route and not at another path, or pass { billing } to the guard.',
  });
}

function entered(
  { reservation, quotas }: Extract<Admission, { admitted: true }>,
  native: object,
  { clock }: Engine,
): Entered {
  reservation.keepAlive();
  return new Admitted(reservation, native, rateLimitHeaders(quotas, NONE, clock.now(), null));
}

class Admitted {
  readonly admitted = true;
  readonly reservation: ReservationHandle;
  readonly headers: Readonly<Record<string, string>>;
  readonly #native: object;

  constructor(reservation: ReservationHandle, native: object, headers: Readonly<Record<string, string>>) {
    this.reservation = reservation;
    this.#native = native;
    this.headers = headers;
  }

  leave(ending: Ending): void {
    const isSure = typeof ending === 'object' && ending.status < 500;
    if (!isSure && refused.has(this.#native)) settleUnawaited(this.reservation, 'release');
    else settle(this.reservation, ending);
  }
}

const NONE: readonly never[] = [];

/** Only the first ending other than `unseen` takes effect. */
function settle(reservation: ReservationHandle, ending: Ending): void {
  if (ending === 'unseen') reservation.letLapse();
  else if (ending === 'failed' || ending.status >= 500) settleUnawaited(reservation, 'unknown');
  else settleUnawaited(reservation, ending.status >= 400 ? 'release' : 'commit');
}

/** The org from the guard's option, a value or a function of the request; without one, from the engine's option. */
export async function givenOrg<R>(
  option: PerRequest<R, string> | undefined,
  guarded: GuardedRequest<R>,
  engine: Engine,
): Promise<string | null | undefined> {
  if (option === undefined) return await orgOf(guarded.request(), engine);
  return typeof option === 'function' ? await option(guarded.native) : option;
}

/** The org that the engine's option finds for the request. */
function orgOf(request: HttpRequest, { settings }: Engine) {
  if (settings.org !== undefined) return settings.org(request);
  throw new TollgateError('invalid_configuration', {
    message: 'This guard knows no org. Pass { org } to the guard, or the option `org` to createBilling.',
  });
}

/** Without an org there is nobody to charge. @throws TollgateError `unauthorized` */
function requireOrg(org: string | null | undefined): string {
  if (org == null || org === '') throw new TollgateError('unauthorized');
  return org;
}

function chargesOf<K extends string>({
  key,
  amount,
  scope,
}: Partial<GuardValues<K>>): readonly KeyCharge<K>[] {
  const list = key === undefined ? [] : typeof key === 'string' ? [key] : key;
  const same = {
    ...(amount === undefined ? {} : { amount }),
    ...(scope === undefined ? {} : { session: scope }),
  };
  return list.map((item) => (typeof item === 'string' ? { key: item, ...same } : item));
}

/** The charges if they are the same for every request, frozen so that they are planned once. Null if they depend on the request. */
function fixedCharges<R, K extends string>(options: KeyedGuardOptions<R, K>): readonly KeyCharge<K>[] | null {
  const given = pick(options, ['key', 'amount', 'scope']);
  if (Object.values(given).some((option) => typeof option === 'function')) return null;
  const charges = chargesOf(given as Partial<GuardValues<K>>);
  return Object.freeze(charges.map((charge) => Object.freeze({ ...charge })));
}

/** An unknown key in the host's code is a fault in its configuration, not the client's fault. */
function checkKeys<K extends string>(charges: readonly KeyCharge<K>[], { catalog }: Engine): void {
  const unknown = charges.find(({ key }) => catalog.quota(key) === undefined);
  if (unknown === undefined) return;
  throw new TollgateError('invalid_configuration', {
    message: `This guard charges "${unknown.key}", which is no quota key. Name one of the engine's.`,
  });
}

/**
 * `releaseQuota` without a framework: called before the handler, it returns a function to call after a successful delete. That never
 * throws.
 *
 * @throws TollgateError `invalid_configuration` for a fault in its options, or if no engine was given and the request passed no router
 */
export function createRelease<R extends object, K extends string>(
  key: K,
  given?: ReleaseOptions<R, K> | null,
): (guarded: GuardedRequest<R>) => () => Promise<void> {
  checkIsOptions('releaseQuota', given);
  const options = given ?? {};
  checkGuardOptions('releaseQuota', { ...options, key });
  const resolve = perRequest<R, GuardValues<K>>(pick(options, ['amount', 'scope', 'idempotencyKey']));

  return (guarded) => {
    const engine = findEngine(guarded, options.billing);
    // Found before the handler runs, as in a guard: a nested router may change the request's parameters.
    const orgLookup = givenOrg(options.org, guarded, engine).then(requireOrg);
    orgLookup.catch(() => undefined);
    return async () => {
      let org: string | undefined;
      try {
        org = await orgLookup;
        const { amount, scope, idempotencyKey } = await resolve(guarded.native);
        await engine.billing.release({
          org,
          key,
          ...(amount === undefined ? {} : { amount }),
          ...(scope === undefined ? {} : { session: scope }),
          // Some frameworks return an empty string for an absent header: both mean that there is no key.
          ...(idempotencyKey ? { idempotencyKey } : {}),
        });
      } catch (error) {
        // The row is gone, and the client's response says so. The next refusal finds the count out of date, and recounts.
        engine.telemetry.count('tollgate.unreleased', 1, { key });
        warnSometimes(engine.logger, 'a delete could not be reported to the counter store', {
          key,
          org,
          ...describeFailure(error),
        });
      }
    };
  };
}

function pick<T extends object, N extends keyof T>(from: T, names: readonly N[]): Pick<T, N> {
  const picked: Partial<T> = {};
  for (const name of names) if (from[name] !== undefined) picked[name] = from[name];
  return picked as Pick<T, N>;
}

function withGiven<R, K extends string>(
  keyed: KeyedGuardOptions<R, K>,
  given: GuardOptions<R, K>,
): KeyedGuardOptions<R, K> {
  const defined = Object.entries(keyed).filter(([, value]) => value !== undefined);
  return { ...given, ...(Object.fromEntries(defined) as typeof keyed) };
}

function isKeyed<R, K extends string>(
  keys: GuardKeys<K> | KeyedGuardOptions<R, K>,
): keys is KeyedGuardOptions<R, K> {
  return typeof keys === 'object' && keys !== null && !Array.isArray(keys);
}
