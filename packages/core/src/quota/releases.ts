import { TollgateError } from '../errors/tollgate-error.ts';
import { checkOrgId } from '../org/org-id.ts';
import type { Adjustment } from '../ports/counter-store.ts';
import type { Wiring } from '../wiring.ts';
import { checkAmount, checkSession, forgetAtOf } from './charges.ts';
import { checkIdempotencyKey } from './check-idempotency-key.ts';
import type { Debts } from './debts.ts';
import type { Recounts } from './recounts.ts';
import type { Snapshots } from './snapshots.ts';
import { storeId } from './store-id.ts';
import { windowAt } from './windows.ts';

/**
 * Takes note that rows of a capacity key were deleted, or gives metered units of the present windows back.
 *
 * A deleted row frees its unit by way of the host's count, which the next create at the limit asks for: so a delete told twice, or
 * told too early, never lets one create too many in. Metered units go back at once, never below 0, never into another window.
 *
 * @throws TollgateError `invalid_org_id`, `unknown_quota_key`, `invalid_amount`, `invalid_request`, `quota_unavailable`
 */
export type Releases = (request: {
  readonly org: string;
  readonly key: string;
  readonly amount?: number;
  readonly session?: string;
  readonly idempotencyKey?: string;
}) => Promise<void>;

export function createReleases(
  wiring: Pick<Wiring, 'catalog' | 'settings' | 'counters' | 'clock'>,
  recounts: Recounts,
  snapshots: Snapshots,
  debts: Pick<Debts, 'pay'>,
): Releases {
  const { catalog, settings, counters, clock } = wiring;

  return async ({ org, key, amount = 1, session, idempotencyKey }) => {
    checkOrgId(org, settings.orgIdPattern);
    const quota = catalog.quota(key);
    if (quota === undefined) throw new TollgateError('unknown_quota_key');
    checkAmount(amount);
    if (idempotencyKey !== undefined) checkIdempotencyKey(idempotencyKey);
    const now = clock.now();
    const isMetered = quota.kind === 'metered';
    const change = isMetered ? 'refunded' : 'deleted';
    const adjustments = quota.periods.map((period): Adjustment => {
      const interval = windowAt(period, now, period === 'per_session' ? checkSession(session) : undefined);
      return { key, window: interval.label, amount, change, forgetAt: forgetAtOf(period, interval, now) };
    });
    // Apart from the ids of reservations, which the store keeps beside them.
    const once =
      idempotencyKey === undefined
        ? {}
        : { id: storeId('release', key, idempotencyKey), rememberMs: settings.idempotencyMs };

    // Units that are owed yet cannot be given back: there may be none above 0 to take them from.
    if (isMetered) await debts.pay(org);
    const { missing } = await counters.adjust({ org, adjustments, ...once });
    // A capacity counter without a count will be counted from the rows that are left: there is nothing to take off it.
    if (!isMetered) return;
    if (missing.length > 0) {
      await recounts.fill(org, adjustments);
      await counters.adjust({ org, adjustments, ...once });
    }
    for (const { window, forgetAt } of adjustments) snapshots.note(org, { key, window, endsAt: forgetAt });
  };
}
