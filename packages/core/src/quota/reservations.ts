import { checkRequest } from '../check-request.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import { isPending } from '../is-pending.ts';
import type { OrgView, OrgViews } from '../org/org-views.ts';
import type { CounterReading } from '../ports/counter-store.ts';
import { checkReservation } from '../ports/counter-store-checks.ts';
import type { Wiring } from '../wiring.ts';
import { type PlannedCharge, planUnlimited, quotaState } from './charges.ts';
import { checkIdempotencyKey } from './check-idempotency-key.ts';
import type { Debts } from './debts.ts';
import type { AskedReservation, Decision, Decisions } from './decisions.ts';
import type { Outage } from './outage.ts';
import { createPlanner } from './planner.ts';
import { reservationHandle, resumedHandle, type Settler } from './reservation-handle.ts';
import { createReservationIds } from './reservation-ids.ts';
import { storeId } from './store-id.ts';
import type { Admission, QuotaState, ReservationHandle, ReservationRecord, ReserveRequest } from './types.ts';

/** The gate: takes units before a create runs, or refuses. */
export interface Reservations {
  reserve(request: ReserveRequest): Promise<Admission>;
  resume(record: ReservationRecord): ReservationHandle;
}

/** How many times a create may be retried under one idempotency key after it failed for certain. */
const MAX_ATTEMPTS = 16;

export function createReservations(
  wiring: Pick<Wiring, 'catalog' | 'counters' | 'settings' | 'clock' | 'telemetry'>,
  parts: {
    readonly orgViews: OrgViews;
    readonly decisions: Decisions;
    readonly settler: Settler;
    readonly debts: Debts;
    readonly outage: Outage;
    /** Called with the quotas of every decision. */
    readonly observe: (org: string, quotas: readonly QuotaState[]) => void;
  },
): Reservations {
  const { orgViews, decisions, settler, debts, outage, observe } = parts;
  const { catalog, counters, settings, clock, telemetry } = wiring;
  const planner = createPlanner(catalog);
  const { leaseMs, maxHeldPerOrg: maxHeld } = settings;
  const nextId = createReservationIds();

  function reserve(request: ReserveRequest): Promise<Admission> {
    try {
      checkRequest(request);
      checkPolicy(request.onStoreError);
      const view = orgViews.of(request.org);
      return isPending(view) ? reserveLater(request, view) : reserveWith(request, view);
    } catch (error) {
      return Promise.reject(error);
    }
  }

  async function reserveLater(request: ReserveRequest, loading: Promise<OrgView>): Promise<Admission> {
    let view: OrgView;
    try {
      view = await loading;
    } catch (error) {
      return await withoutStore(request, null, error);
    }
    return await reserveWith(request, view);
  }

  function reserveWith(request: ReserveRequest, view: OrgView): Promise<Admission> {
    const charges = planner.plan(request, view, clock.now());
    const { org } = view;
    const failed = (error: unknown) => withoutStore(request, charges, error);
    if (request.idempotencyKey === undefined && debts.size() === 0) return reserveFresh(org, charges, failed);
    // The org's debts are paid before its create is decided.
    const { idempotencyKey } = request;
    return debts.pay(org).then(() => {
      if (idempotencyKey === undefined) return reserveFresh(org, charges, failed);
      return reserveOnce(org, charges, idempotencyKey).then((admission) => answered(org, admission), failed);
    }, failed);
  }

  /** Every create passes here, so it uses as few promises as possible. */
  function reserveFresh(
    org: string,
    charges: readonly PlannedCharge[],
    failed: (error: unknown) => Promise<Admission>,
  ): Promise<Admission> {
    const asked = {
      org,
      id: nextId(),
      charges,
      rememberMs: 0,
      leaseMs,
      maxHeld,
    };
    return counters.reserve(asked).then((outcome) => {
      const decision = decisions.judge(asked, outcome);
      if (!isPending(decision)) return answered(org, admissionOf(asked, decision));
      return decision.then((late) => answered(org, admissionOf(asked, late))).catch(failed);
    }, failed);
  }

  function answered(org: string, admission: Admission): Admission {
    if (debts.size() > 0) void debts.payAll();
    observe(org, admission.quotas);
    return admission;
  }

  async function withoutStore(
    request: ReserveRequest,
    charges: readonly PlannedCharge[] | null,
    error: unknown,
  ): Promise<Admission> {
    if (!isUnavailable(error)) throw error;
    const policy = request.onStoreError ?? settings.onStoreError;
    telemetry.count('tollgate.unavailable', 1, { policy });
    const counted =
      charges === null && policy === 'open' ? planUnlimited(request, catalog, clock.now()) : charges;
    const admission = await outage.admit(request.org, counted, policy, error);
    observe(request.org, admission.quotas);
    return admission;
  }

  /** One idempotency key may need several reservations, since a create that failed for certain may be retried. */
  async function reserveOnce(
    org: string,
    charges: readonly PlannedCharge[],
    idempotencyKey: string,
  ): Promise<Admission> {
    const name = reservationName(idempotencyKey, charges);
    const rememberMs = settings.idempotencyMs;
    for (let attempt = 1; attempt <= MAX_ATTEMPTS; attempt++) {
      const id = attempt === 1 ? name : `${name}.${attempt}`;
      const asked = { org, id, charges, rememberMs, leaseMs, maxHeld };
      const decision = await decisions.judge(asked, await counters.reserve(asked));
      if (decision.outcome !== 'repeated') return admissionOf(asked, decision);
      if (decision.state === 'held') throw new TollgateError('request_in_progress', { retryAfterSeconds: 1 });
      if (decision.state === 'committed') return admitted(asked, [], DONE, true);
    }
    throw new TollgateError('reservation_conflict');
  }

  function admissionOf(asked: AskedReservation, decision: Decision): Admission {
    if (decision.outcome === 'reserved') return admitted(asked, decision.readings, settler, false);
    // A fresh id that is already known was generated by somebody else, which cannot be told apart from a fault in this library.
    if (decision.outcome === 'repeated') throw new TollgateError('internal_error');
    const quotas = asked.charges.map((charge, i) => quotaState(charge, decision.readings[i]));
    const denied = decision.misfits.flatMap((i) => quotas[i] ?? []);
    for (const { key } of denied) telemetry.count('tollgate.denied', 1, { key });
    return { admitted: false, denied, quotas };
  }

  return {
    reserve,
    resume(record) {
      checkRequest(record);
      // Checked now rather than at the settle: until then it would be renewed, and an invalid one fails the renewals of all others.
      checkReservation(record);
      return resumedHandle(record, settler);
    },
  };
}

function admitted(
  asked: AskedReservation,
  readings: readonly CounterReading[],
  settler: Settler,
  repeated: boolean,
): Admission {
  return {
    admitted: true,
    reservation: reservationHandle(asked, settler, repeated),
    // For a repeat the store does not say how many units are left.
    quotas: repeated ? [] : asked.charges.map((charge, i) => quotaState(charge, readings[i])),
    decidedBy: 'store',
    repeated,
  };
}

/** The settler of a create that was committed earlier: nothing is left to settle. */
const DONE: Settler = {
  sharedMs: 0,
  settle: () => Promise.resolve({ outcome: 'repeated', state: 'committed' }),
  commitWithin: () => Promise.resolve(),
  keepAlive: () => undefined,
  letLapse: () => undefined,
  letGo: () => undefined,
};

/** A misspelt policy would otherwise only be noticed in an outage. @throws TollgateError `invalid_configuration` */
function checkPolicy(policy: unknown): void {
  if (policy == null || policy === 'closed' || policy === 'open' || policy === 'recount') return;
  throw new TollgateError('invalid_configuration', {
    message: "`onStoreError` is 'closed', 'open' or 'recount'.",
  });
}

function isUnavailable(error: unknown): error is TollgateError {
  return (
    error instanceof TollgateError &&
    (error.code === 'quota_unavailable' || error.code === 'repository_unavailable')
  );
}

/** The id of a reservation under the caller's idempotency key; different for each set of quota keys. */
function reservationName(idempotencyKey: string, charges: readonly PlannedCharge[]): string {
  checkIdempotencyKey(idempotencyKey);
  const keys = [...new Set(charges.map((charge) => charge.key))].sort();
  return storeId(keys, idempotencyKey);
}
