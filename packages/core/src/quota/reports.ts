import type { QuotaPeriod } from '../catalog/quota.ts';
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

/** Changes that no reservation was made for. */
export interface Reports {
  /**
   * Counts units that were used without a reservation, whatever the limit: rows of a capacity key that were created, or metered units of
   * the current windows. With a `period`, only the window of that period.
   *
   * A created row is uncertain until the host's rows have been counted, which the next create at the limit requests. So rows that are
   * recorded twice, or counted already, refuse nobody for long.
   *
   * @throws TollgateError `invalid_org_id`, `unknown_quota_key`, `unknown_period`, `invalid_amount`, `invalid_request`, `quota_unavailable`
   */
  record(request: Report & { readonly period?: QuotaPeriod }): Promise<void>;
  /**
   * Reports that rows of a capacity key were deleted, or gives back metered units of the current windows.
   *
   * A deleted row frees its unit through the host's count, which the next create at the limit requests. So a delete that is reported
   * twice or too early never admits one create too many. Metered units are given back immediately, never below 0 and never into another
   * window.
   *
   * @throws TollgateError `invalid_org_id`, `unknown_quota_key`, `invalid_amount`, `invalid_request`, `quota_unavailable`
   */
  release(request: Report): Promise<void>;
}

interface Report {
  readonly org: string;
  readonly key: string;
  readonly amount?: number;
  readonly session?: string;
  readonly idempotencyKey?: string;
}

const CHANGES = {
  record: { metered: 'charged', capacity: 'created' },
  release: { metered: 'refunded', capacity: 'deleted' },
} as const;

export function createReports(
  wiring: Pick<Wiring, 'catalog' | 'settings' | 'counters' | 'clock'>,
  recounts: Recounts,
  snapshots: Snapshots,
  debts: Pick<Debts, 'pay'>,
): Reports {
  const { catalog, settings, counters, clock } = wiring;

  async function report(
    kind: keyof typeof CHANGES,
    { org, key, amount = 1, session, idempotencyKey }: Report,
    onlyPeriod?: QuotaPeriod,
  ): Promise<void> {
    checkOrgId(org, settings.orgIdPattern);
    const quota = catalog.quota(key);
    if (quota === undefined) throw new TollgateError('unknown_quota_key');
    checkAmount(amount);
    if (idempotencyKey !== undefined) checkIdempotencyKey(idempotencyKey);
    const periods = quota.periods.filter((period) => onlyPeriod === undefined || period === onlyPeriod);
    if (periods.length === 0) throw new TollgateError('unknown_period');
    const now = clock.now();
    const isMetered = quota.kind === 'metered';
    const change = CHANGES[kind][quota.kind];
    const adjustments = periods.map((period): Adjustment => {
      const interval = windowAt(period, now, period === 'per_session' ? checkSession(session) : undefined);
      return { key, window: interval.label, amount, change, forgetAt: forgetAtOf(period, interval, now) };
    });
    // Distinct from reservation ids, which have the same form.
    const named = onlyPeriod === undefined ? [kind, key] : [kind, key, onlyPeriod];
    const once =
      idempotencyKey === undefined
        ? {}
        : { id: storeId(...named, idempotencyKey), rememberMs: settings.idempotencyMs };

    // Debts are paid first, since units that are still owed cannot be given back: the counter may be at 0 without them.
    if (change === 'refunded') await debts.pay(org);
    const { missing } = await counters.adjust({ org, adjustments, ...once });
    // A capacity counter without a count will be counted from the rows there are: nothing has to be changed.
    if (!isMetered) return;
    if (missing.length > 0) {
      await recounts.fill(org, adjustments);
      const again = await counters.adjust({ org, adjustments, ...once });
      // Lost once more in between: nothing was changed, and nothing is remembered of the call.
      if (again.missing.length > 0) throw new TollgateError('quota_unavailable', { retryAfterSeconds: 1 });
    }
    for (const { window, forgetAt } of adjustments) snapshots.note(org, { key, window, endsAt: forgetAt });
  }

  return {
    record: ({ period, ...request }) => report('record', request, period),
    release: (request) => report('release', request),
  };
}
