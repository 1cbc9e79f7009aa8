import { createHash } from 'node:crypto';
import { TollgateError } from '../errors/tollgate-error.ts';
import { checkOrgId } from '../org/org-id.ts';
import type { OrgView, OrgViews } from '../org/org-views.ts';
import type { CounterReading, Reservation, ReserveOutcome } from '../ports/counter-store.ts';
import type { Wiring } from '../wiring.ts';
import { type PlannedCharge, planCharges, quotaState } from './charges.ts';
import type { Outage } from './outage.ts';
import type { Recounts } from './recounts.ts';
import { reservationHandle, type Settler } from './reservation-handle.ts';
import type { Admission, ReservationHandle, ReservationRecord, ReserveRequest } from './types.ts';

/** The gate: takes units before a create runs, or refuses. */
export interface Reservations {
  reserve(request: ReserveRequest): Promise<Admission>;
  resume(record: ReservationRecord): ReservationHandle;
}

/** How often a decision is asked for again after a recount, before what the store says is taken as it is. */
const MAX_DECISIONS = 4;
/** How often a create may be tried anew under one idempotency key after it failed for certain. */
const MAX_ATTEMPTS = 16;

export function createReservations(
  wiring: Pick<Wiring, 'catalog' | 'settings' | 'counters' | 'clock' | 'ids' | 'telemetry'>,
  orgViews: OrgViews,
  recounts: Recounts,
  settler: Settler,
  outage: Outage,
): Reservations {
  const { catalog, settings, counters, clock, ids, telemetry } = wiring;

  async function reserve(request: ReserveRequest): Promise<Admission> {
    const org = checkOrgId(request.org, settings.orgIdPattern);
    const onStoreError = request.onStoreError ?? settings.onStoreError;
    let charges: readonly PlannedCharge[] | null = null;
    try {
      const known = orgViews.of(org);
      const view: OrgView = known instanceof Promise ? await known : known;
      const meteredOnUnknown = request.onFailure === 'charge' ? 'commit' : 'release';
      charges = planCharges(request.charges, view, catalog, meteredOnUnknown, clock.now());
      const admission = await decide(org, charges, request);
      outage.storeAnswered();
      return admission;
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      telemetry.count('tollgate.unavailable', 1, { policy: onStoreError });
      return outage.admit(org, request, charges, onStoreError, error);
    }
  }

  /** One key of the caller's may need several reservations: a create that failed for certain may be tried again. */
  async function decide(
    org: string,
    charges: readonly PlannedCharge[],
    request: ReserveRequest,
  ): Promise<Admission> {
    if (request.idempotencyKey === undefined) {
      return admissionOf(charges, await ask({ org, id: ids.next(), charges, rememberMs: 0 }));
    }
    const name = reservationName(request.idempotencyKey, charges);
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const id = attempt === 1 ? name : `${name}.${attempt}`;
      const asked = await ask({ org, id, charges, rememberMs: settings.idempotencyMs });
      if (asked.decision.outcome !== 'repeated') return admissionOf(charges, asked);
      if (asked.decision.state === 'held')
        throw new TollgateError('request_in_progress', { retryAfterSeconds: 1 });
      if (asked.decision.state === 'committed') return repeatedAdmission(asked.reservation, charges);
    }
    throw new TollgateError('reservation_conflict');
  }

  interface Asked {
    readonly reservation: Reservation;
    readonly decision: Exclude<ReserveOutcome, { outcome: 'unknown' | 'conflict' | 'crowded' }>;
  }

  /** Asks the store until it decides on counts that may be trusted. */
  async function ask(
    reservation: Reservation & { readonly charges: readonly PlannedCharge[] },
  ): Promise<Asked> {
    const { org, charges } = reservation;
    const request = { ...reservation, leaseMs: settings.leaseMs, maxHeld: settings.maxHeldPerOrg };
    for (let round = 1; ; round++) {
      const decision = await counters.reserve(request);
      switch (decision.outcome) {
        case 'conflict':
          throw new TollgateError('reservation_conflict');
        case 'crowded':
          throw new TollgateError('too_many_pending', { retryAfterSeconds: 1 });
        case 'repeated':
          return { reservation, decision };
        case 'reserved':
          refreshOldCounts(org, charges, decision.readings);
          return { reservation, decision };
        case 'unknown':
          if (round === MAX_DECISIONS) throw new TollgateError('quota_unavailable', { retryAfterSeconds: 1 });
          await recounts.run(org, pick(charges, decision.missing));
          break;
        case 'denied': {
          const doubtful = decision.misfits.filter((i) =>
            isDoubtful(charges[i], decision.readings[i], round),
          );
          if (doubtful.length === 0 || round === MAX_DECISIONS) return { reservation, decision };
          await recounts.run(org, pick(charges, doubtful));
          break;
        }
      }
    }
  }

  /** A capacity key refuses only on a count that is fresh and certain. */
  function isDoubtful(
    charge: PlannedCharge | undefined,
    reading: CounterReading | undefined,
    round: number,
  ): boolean {
    if (charge?.quota.kind !== 'capacity' || reading === undefined || charge.limit === null) return false;
    // Asked for more than the limit itself: no count of rows would let it in.
    if (charge.amount > charge.limit) return false;
    const isOld = round === 1 && reading.countAgeMs > settings.refusalCountMaxAgeMs;
    return (
      isOld || (reading.uncertain > 0 && reading.committed + reading.held + charge.amount <= charge.limit)
    );
  }

  function refreshOldCounts(
    org: string,
    charges: readonly PlannedCharge[],
    readings: readonly CounterReading[],
  ): void {
    for (let i = 0; i < charges.length; i++) {
      const charge = charges[i];
      const reading = readings[i];
      if (
        charge?.quota.kind === 'capacity' &&
        reading !== undefined &&
        reading.countAgeMs > settings.recountEveryMs
      ) {
        recounts.runInBackground(org, [charge]);
      }
    }
  }

  function admissionOf(charges: readonly PlannedCharge[], { reservation, decision }: Asked): Admission {
    if (decision.outcome === 'repeated') throw new TollgateError('internal_error');
    const quotas = charges.map((charge, i) => quotaState(charge, decision.readings[i] ?? null));
    if (decision.outcome === 'denied') {
      const denied = decision.misfits.flatMap((i) => quotas[i] ?? []);
      for (const { key } of denied) telemetry.count('tollgate.denied', 1, { key });
      return { admitted: false, denied, quotas };
    }
    return {
      admitted: true,
      reservation: reservationHandle(reservation, settler),
      quotas,
      decidedBy: 'store',
      repeated: false,
    };
  }

  function repeatedAdmission(reservation: Reservation, charges: readonly PlannedCharge[]): Admission {
    return {
      admitted: true,
      reservation: reservationHandle(reservation, DONE),
      quotas: charges.map((charge) => quotaState(charge, null)),
      decidedBy: 'store',
      repeated: true,
    };
  }

  return {
    reserve,
    resume: (record) => reservationHandle(record, settler),
  };
}

/** The settler of a create that was committed before: there is nothing left to settle. */
const DONE: Settler = {
  settle: () => Promise.resolve({ outcome: 'repeated', state: 'committed' }),
  keepAlive: () => undefined,
  letGo: () => undefined,
};

function pick(charges: readonly PlannedCharge[], positions: readonly number[]): readonly PlannedCharge[] {
  return positions.flatMap((i) => charges[i] ?? []);
}

function isUnavailable(error: unknown): error is TollgateError {
  return (
    error instanceof TollgateError &&
    (error.code === 'quota_unavailable' || error.code === 'repository_unavailable')
  );
}

/** A store id of fixed length for whatever key the caller chose, apart for each set of quota keys. */
function reservationName(idempotencyKey: string, charges: readonly PlannedCharge[]): string {
  if (typeof idempotencyKey !== 'string' || idempotencyKey === '' || idempotencyKey.length > 255) {
    throw new TollgateError('invalid_request', {
      message: 'The idempotency key must be 1 to 255 characters.',
    });
  }
  const keys = [...new Set(charges.map((charge) => charge.key))].sort();
  return createHash('sha256')
    .update(JSON.stringify([keys, idempotencyKey]))
    .digest('base64url');
}
