import { describeFailure } from '../errors/describe-failure.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { OnUnknown } from '../ports/counter-store.ts';
import { warnSometimes } from '../warn-sometimes.ts';
import type { Wiring } from '../wiring.ts';
import { type PlannedCharge, quotaState } from './charges.ts';
import type { Debts } from './debts.ts';
import { createHeadcounts } from './headcounts.ts';
import type { HeldWatch } from './keep-alive.ts';
import { reservationHandle, type Settler } from './reservation-handle.ts';
import type { Admission, OnStoreError } from './types.ts';

/** Decides creates while the store is unavailable. */
export interface Outage {
  /**
   * Decides without the store: `closed` refuses, `open` admits and counts later, `recount` decides on the host's own count of rows
   * (metered keys, which have no rows, are refused).
   *
   * @param charges - null if even the limits could not be read.
   * @throws TollgateError `quota_unavailable`
   */
  admit(
    org: string,
    charges: readonly PlannedCharge[] | null,
    policy: OnStoreError,
    cause: TollgateError,
  ): Promise<Admission>;
}

export function createOutage(
  wiring: Pick<Wiring, 'inventory' | 'settings' | 'ids' | 'logger' | 'telemetry'>,
  parts: {
    readonly debts: Debts;
    /** Watches an org's reservations in this process that the store admitted. */
    readonly watchHeld: (org: string) => HeldWatch;
  },
): Outage {
  const { settings, ids, logger, telemetry } = wiring;
  const { debts } = parts;
  const headcounts = createHeadcounts(wiring, parts.watchHeld);

  /** Creates a handle on units that no store holds. */
  function looseHandle(org: string, charges: readonly PlannedCharge[], done: () => void) {
    const id = ids.next();
    const whole = charges.map(({ amount }) => amount);
    /** The units to count if the create may have made its rows. */
    const uncertain = charges.map(({ amount, onUnknown }) => (onUnknown === 'release' ? 0 : amount));
    let hasLapsed = false;
    let lapsing: NodeJS.Timeout | undefined;

    function lapse() {
      hasLapsed = true;
      debts.owe(org, charges, uncertain, id);
      done();
    }

    function letLapse() {
      clearTimeout(lapsing);
      lapsing = setTimeout(lapse, settings.leaseMs).unref();
    }

    // Its end may never be seen. Unless it is kept alive, it takes up room for as long as a lease would, and is uncertain after that.
    letLapse();
    const settler: Settler = {
      sharedMs: settings.idempotencyMs,
      settle({ rememberMs }, as, amounts = whole) {
        if (as !== 'release') {
          const kept = as === 'commit' ? amounts : uncertain;
          const keptOf = (fate: OnUnknown) =>
            kept.map((amount, i) => (charges[i]?.onUnknown === fate ? amount : 0));
          // Another holder of its record finds nothing in the store, and then reports the units as owed under the same id.
          const sharedId = rememberMs > 0 ? id : undefined;
          // After a lapse the units are owed already, but a count since then may have missed rows made later: these are owed again.
          debts.owe(org, charges, hasLapsed ? keptOf('release') : kept, sharedId);
          if (hasLapsed) debts.owe(org, charges, keptOf('uncertain'));
        }
        done();
        return Promise.resolve({ outcome: 'settled', late: false, overLimit: false });
      },
      // Nothing is held in the store, so a host in strict mode must not create on it.
      commitWithin: () => Promise.reject(new TollgateError('reservation_lapsed')),
      keepAlive: () => clearTimeout(lapsing),
      letLapse,
      letGo: () => clearTimeout(lapsing),
    };
    return reservationHandle({ org, id, charges, rememberMs: 0 }, settler);
  }

  return {
    async admit(org, charges, policy, cause) {
      warnSometimes(logger, 'creates cannot be decided', { org, policy, ...describeFailure(cause) });
      if (policy === 'open' && charges !== null) {
        for (const key of new Set(charges.map((charge) => charge.key)))
          telemetry.count('tollgate.admitted_open', 1, { key });
        const reservation = looseHandle(org, charges, () => undefined);
        return { admitted: true, reservation, quotas: [], decidedBy: 'open', repeated: false };
      }
      if (policy === 'recount' && charges?.every((charge) => charge.quota.kind === 'capacity')) {
        const { misfits, counts, leave } = await headcounts.enter(org, charges);
        const quotas = charges.map((charge, i) =>
          quotaState(charge, { committed: counts[i] ?? 0, held: 0, uncertain: 0, countAgeMs: 0 }),
        );
        if (misfits.length > 0) {
          const denied = misfits.flatMap((i) => quotas[i] ?? []);
          for (const { key } of denied) telemetry.count('tollgate.denied', 1, { key });
          return { admitted: false, denied, quotas };
        }
        const reservation = looseHandle(org, charges, leave);
        return { admitted: true, reservation, quotas, decidedBy: 'recount', repeated: false };
      }
      throw cause.code === 'quota_unavailable'
        ? cause
        : new TollgateError('quota_unavailable', { cause, retryAfterSeconds: cause.retryAfterSeconds ?? 1 });
    },
  };
}
