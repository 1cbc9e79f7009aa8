import { TollgateError } from '../errors/tollgate-error.ts';
import type { OrgViews } from '../org/org-views.ts';
import type { Wiring } from '../wiring.ts';
import { whileClosing } from '../within.ts';
import { createDebts } from './debts.ts';
import { createDecisions } from './decisions.ts';
import { createOutage } from './outage.ts';
import { createRecounts, type Recounts } from './recounts.ts';
import { createReports, type Reports } from './reports.ts';
import { createReservations, type Reservations } from './reservations.ts';
import { createSettling } from './settling.ts';
import { createSnapshots } from './snapshots.ts';
import type { QuotaState } from './types.ts';
import { createUsage, type Usage } from './usage.ts';

/** All services that count, wired together. */
export interface Gate extends Reservations, Reports {
  readonly usage: Usage;
  readonly recounts: Recounts;
  /** Recounts capacity keys from the host's rows; returns the counts. */
  recountRows(org: string, keys: readonly string[]): Promise<ReadonlyMap<string, number>>;
  /**
   * Begins closing while the gate still works: writes metered use, waits for settles in flight and pays debts, as far as time allows.
   *
   * @param startedAt - when closing began, on the clock of `performance.now()`
   */
  settleUp(startedAt: number): Promise<void>;
  /** Does the same for what is left, then stops. @param startedAt - now, by default */
  close(startedAt?: number): Promise<void>;
}

/** @param observe - called with the quotas of every decision */
export function createGate(
  wiring: Omit<Wiring, 'access' | 'provider'>,
  orgViews: OrgViews,
  observe: (org: string, quotas: readonly QuotaState[]) => void,
): Gate {
  const recounts = createRecounts(wiring);
  const snapshots = createSnapshots(wiring);
  const debts = createDebts(wiring, recounts, snapshots);
  const settling = createSettling(wiring, snapshots, debts);

  async function settleAndPay(startedAt: number): Promise<void> {
    await whileClosing(settling.drain(), startedAt);
    if (debts.size() > 0) await whileClosing(debts.payAll(), startedAt);
  }

  return {
    ...createReservations(wiring, {
      orgViews,
      decisions: createDecisions(wiring, recounts),
      settler: settling,
      debts,
      outage: createOutage(wiring, { debts, watchHeld: settling.watchHeld }),
      observe,
    }),
    usage: createUsage(wiring, orgViews, recounts, debts),
    recounts,
    ...createReports(wiring, recounts, snapshots, debts),
    async recountRows(org, keys) {
      if (!Array.isArray(keys))
        throw new TollgateError('invalid_request', { message: '`keys` must be a list.' });
      for (const key of keys) {
        if (wiring.catalog.quota(key)?.kind !== 'capacity') throw new TollgateError('unknown_quota_key');
      }
      const refs = keys.map((key) => ({ key, window: 'lifetime', forgetAt: null }));
      await recounts.runAnew(org, refs);
      const readings = await wiring.counters.read({ org, counters: refs });
      return new Map(keys.map((key, i) => [key, readings[i]?.committed ?? 0]));
    },
    async settleUp(startedAt) {
      // Use known already is written immediately: the rest may take a while, and the process may be killed meanwhile.
      const settled = settleAndPay(startedAt).then(() => whileClosing(snapshots.flush(), startedAt));
      await Promise.all([snapshots.flush(), settled]);
    },
    async close(startedAt = performance.now()) {
      await settleAndPay(startedAt);
      settling.close();
      await snapshots.close(startedAt);
    },
  };
}
