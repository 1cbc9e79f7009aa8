import type { Billing } from '../billing-interface.ts';
import { frictionDelayMs } from '../degradation/friction-delay.ts';
import type { StageAt } from '../degradation/stage-at.ts';
import { createWaitingRoom, type Leaving, type WaitingRoom } from '../degradation/waiting-room.ts';
import { describeFailure } from '../errors/describe-failure.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { Engine } from '../http/engine.ts';
import { within } from '../within.ts';
import { checkFrictionOptions, checkIsOptions } from './check-guard-options.ts';
import { findEngine, type GuardedRequest, givenOrg } from './guard.ts';
import type { PerRequest } from './guard-options.ts';
import { perRequest } from './per-request.ts';

/** How to find the org of a request, and its engine. */
export interface StandingOptions<R> {
  /** The org whose level is read. @default the engine's `org` option */
  readonly org?: PerRequest<R, string>;
  /** The engine. @default the one whose `billingRouter` the request passed */
  readonly billing?: Billing;
}

export interface FrictionOptions<R> extends StandingOptions<R> {
  /** The longest delay, reached at level 1, ms. @default the engine's `overCapacity.maxDelayMs` */
  readonly maxDelayMs?: PerRequest<R, number>;
  /** Whether this request is exempt from delays. @default whether the engine's `access` allows `billing:manage` */
  readonly isExempt?: PerRequest<R, boolean>;
}

/** What the adapter has to do with the request. */
export interface FrictionOutcome {
  /** Set these on the response before the handler runs. */
  readonly headers: Readonly<Record<string, string>>;
  /** False if the client has disconnected: the handler must not run. */
  readonly proceed: boolean;
}

/** Says how long this request was held, in ms; 0 when too many were held already. Absent from requests that friction did not touch. */
export const FRICTION_HEADER = 'X-Degradation-Delay';

const UNTOUCHED: FrictionOutcome = { headers: {}, proceed: true };
const NO_FRICTION: StageAt = { stage: 'none', level: 0 };
/** How long to wait for the level, and for whether the caller is exempt, ms. After that the request is not delayed. */
const LOOKUP_MS = 250;

const rooms = new WeakMap<Engine, WaitingRoom>();

function roomOf(engine: Engine): WaitingRoom {
  const known = rooms.get(engine);
  if (known !== undefined) return known;
  const room = createWaitingRoom(engine.settings.overCapacity?.maxWaiting ?? 0);
  rooms.set(engine, room);
  return room;
}

/**
 * Finds the standing of a request's org, for a host that would rather shrink a page or a batch than delay it.
 *
 * @throws TollgateError `invalid_configuration` when the engine or the org cannot be found, and what `billing.standing` throws.
 * A request without an org is at level 0.
 */
export function createStandingOf<R extends object>(
  options: StandingOptions<R> = {},
): (guarded: GuardedRequest<R>) => Promise<StageAt & { readonly org: string | null }> {
  return async (guarded) => {
    const engine = findEngine(guarded, options.billing);
    const org = await givenOrg(options.org, guarded, engine);
    if (org == null || org === '') return { ...NO_FRICTION, org: null };
    return { ...(await engine.billing.standing(org)), org };
  };
}

/**
 * `friction` without a framework: delays a request of a degraded org by `level x maxDelayMs`, and refuses none. It does not delay requests
 * of admins, requests beyond `maxWaiting`, and any request whose level, or whether its caller is an admin, cannot be determined.
 *
 * @param key - what is delayed, for the metric.
 * @throws TollgateError `invalid_configuration` for a fault in its options
 */
export function createFriction<R extends object>(
  key: string,
  given?: FrictionOptions<R> | null,
): (guarded: GuardedRequest<R>, client: Leaving) => Promise<FrictionOutcome> {
  checkIsOptions('friction', given);
  const options = given ?? {};
  checkFrictionOptions(key, options);
  const standingOf = createStandingOf<R>(options);
  const resolve = perRequest<R, { maxDelayMs: number; isExempt: boolean }>({
    maxDelayMs: options.maxDelayMs,
    isExempt: options.isExempt,
  });

  async function delayOf(guarded: GuardedRequest<R>, engine: Engine): Promise<number> {
    const { level, org } = await standingOf(guarded);
    if (level === 0 || org === null) return 0;
    const { maxDelayMs, isExempt } = await resolve(guarded.native);
    if (isExempt ?? (await isAdmin(guarded, engine, org))) return 0;
    return frictionDelayMs(level, maxDelayMs ?? engine.settings.overCapacity?.maxDelayMs ?? 0);
  }

  return async (guarded, client) => {
    const engine = findEngine(guarded, options.billing);
    const { telemetry, logger } = engine;
    let delayMs = 0;
    try {
      delayMs = await within(LOOKUP_MS, delayOf(guarded, engine));
    } catch (error) {
      if (isMisconfigured(error)) throw error;
      telemetry.count('tollgate.friction', 1, { key, outcome: 'unknown' });
      logger.debug(
        'Whether a request is to be delayed could not be found out. It is not.',
        describeFailure(error),
      );
    }
    if (delayMs === 0) return UNTOUCHED;
    const outcome = await roomOf(engine).wait(delayMs, client);
    telemetry.count('tollgate.friction', 1, { key, outcome });
    const held = outcome === 'waited' ? delayMs : 0;
    return { headers: { [FRICTION_HEADER]: String(held) }, proceed: outcome !== 'left' };
  };
}

async function isAdmin(guarded: GuardedRequest<object>, engine: Engine, org: string): Promise<boolean> {
  const answer = await engine.access({
    request: guarded.request(),
    permission: 'billing:manage',
    org,
    operationId: 'friction',
  });
  return answer?.allowed === true;
}

function isMisconfigured(error: unknown): boolean {
  return error instanceof TollgateError && error.code === 'invalid_configuration';
}
