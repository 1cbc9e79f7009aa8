import type { Catalog } from '../catalog/catalog.ts';
import type { QuotaDefinition, QuotaPeriod } from '../catalog/quota.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { OrgView } from '../org/org-views.ts';
import type { Charge, CounterReading, OnUnknown } from '../ports/counter-store.ts';
import type { EffectiveLimit, KeyCharge, QuotaState, QuotaWindow, ReserveRequest } from './types.ts';
import { windowAt } from './windows.ts';

const HOUR_MS = 3_600_000;
/**
 * How long a metered counter is kept after its window, so that late commits, the write-behind and a process whose clock is a day
 * behind the store's still find it.
 */
const WINDOW_SLACK_MS = 48 * HOUR_MS;
/** How long a session's counter is kept after its last charge. */
const SESSION_KEEP_MS = 7 * 24 * HOUR_MS;
/** What a session's id looks like. */
export const SESSION_PATTERN = /^[A-Za-z0-9_-]{1,64}$/;

const UNLIMITED: EffectiveLimit = { value: null, source: { kind: 'default' } };

/** A charge as the store takes it, with what the reply to the caller needs. */
export interface PlannedCharge extends Charge {
  readonly period: QuotaPeriod;
  readonly quota: QuotaDefinition;
  readonly effective: EffectiveLimit;
  readonly interval: QuotaWindow;
}

/**
 * Plans what a create is charged: one charge for each key and each period that limits it. Charges of one key add up.
 *
 * @throws TollgateError `unknown_quota_key`, `invalid_amount`, `invalid_request` (not a list of charges, or a per-session key without a
 * session id)
 */
export function planCharges(
  request: Pick<ReserveRequest, 'charges' | 'onFailure'>,
  view: Pick<OrgView, 'limit'>,
  catalog: Catalog,
  now: number,
): readonly PlannedCharge[] {
  const planned: PlannedCharge[] = [];
  checkFailure(request.onFailure);
  for (const { key, amount = 1, session } of checkCharges(request.charges)) {
    const quota = catalog.quota(key);
    if (quota === undefined) throw new TollgateError('unknown_quota_key');
    checkAmount(amount);
    for (const period of quota.periods) {
      const limit = view.limit(key, period, now);
      if (limit === null) continue;
      const interval = windowAt(period, now, period === 'per_session' ? checkSession(session) : undefined);
      const charge: PlannedCharge = {
        key,
        window: interval.label,
        amount,
        limit: limit.value,
        onUnknown: onUnknownOf(quota, request.onFailure),
        forgetAt: forgetAtOf(period, interval, now),
        period,
        quota,
        effective: limit,
        interval,
      };
      addCharge(planned, charge);
    }
  }
  if (planned.length === 0) {
    throw new TollgateError('invalid_request', {
      message: 'A create must be charged to at least one quota key.',
    });
  }
  return planned;
}

/** As {@link planCharges}, for unknown limits: charges each period that may be limited, without a limit. */
export function planUnlimited(
  request: Pick<ReserveRequest, 'charges' | 'onFailure'>,
  catalog: Catalog,
  now: number,
): readonly PlannedCharge[] {
  const sessions = new Map(checkCharges(request.charges).map(({ key, session }) => [key, session]));
  const limit = (key: string, period: QuotaPeriod) =>
    period === 'per_session' && sessions.get(key) === undefined ? null : UNLIMITED;
  return planCharges(request, { limit }, catalog, now);
}

function addCharge(planned: PlannedCharge[], charge: PlannedCharge): void {
  for (const [i, before] of planned.entries()) {
    if (before.key === charge.key && before.window === charge.window) {
      planned[i] = { ...charge, amount: checkAmount(before.amount + charge.amount) };
      return;
    }
  }
  planned.push(charge);
}

/** @throws TollgateError `invalid_request` */
function checkCharges(charges: unknown): readonly KeyCharge[] {
  if (!Array.isArray(charges) || charges.some((charge) => typeof charge !== 'object' || charge === null)) {
    throw new TollgateError('invalid_request', {
      message: '`charges` must be a list of objects such as { key, amount }.',
    });
  }
  return charges;
}

/** A misspelt value would release what is to be charged. @throws TollgateError `invalid_configuration` */
function checkFailure(onFailure: unknown): void {
  if (onFailure == null || onFailure === 'release' || onFailure === 'charge') return;
  throw new TollgateError('invalid_configuration', { message: "`onFailure` is 'release' or 'charge'." });
}

/** @throws TollgateError `invalid_amount` unless it is a whole number from 1 to 2^53-1 */
export function checkAmount(amount: unknown): number {
  if (typeof amount !== 'number' || !Number.isSafeInteger(amount) || amount < 1)
    throw new TollgateError('invalid_amount');
  return amount;
}

/** @throws TollgateError `invalid_request` */
export function checkSession(session: unknown): string {
  if (typeof session !== 'string' || !SESSION_PATTERN.test(session)) {
    throw new TollgateError('invalid_request', {
      message: 'This quota is counted per session: a valid session id is needed.',
    });
  }
  return session;
}

/** When the store may forget a window's counter, epoch ms; null for never. */
export function forgetAtOf(period: QuotaPeriod, interval: QuotaWindow, now: number): number | null {
  if (period === 'lifetime') return null;
  return interval.endsAt === null ? now + SESSION_KEEP_MS : interval.endsAt + WINDOW_SLACK_MS;
}

function onUnknownOf(quota: QuotaDefinition, onFailure: ReserveRequest['onFailure']): OnUnknown {
  if (quota.kind === 'capacity') return 'uncertain';
  return onFailure === 'charge' ? 'commit' : 'release';
}

/** The state of a charged window for headers and messages; `reading` is undefined if the count is not known. */
export function quotaState(charge: PlannedCharge, reading: CounterReading | undefined): QuotaState {
  const used = reading === undefined ? 0 : reading.committed + reading.held + reading.uncertain;
  return {
    key: charge.key,
    period: charge.period,
    unit: charge.quota.unit,
    window: charge.interval,
    limit: charge.effective,
    remaining: charge.limit === null ? null : Math.max(0, charge.limit - used),
  };
}
