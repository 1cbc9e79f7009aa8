import { createHash } from 'node:crypto';
import { TollgateError } from '../errors/tollgate-error.ts';
import { checkOrgId } from '../org/org-id.ts';
import type { OrgView, OrgViews } from '../org/org-views.ts';
import type { CounterReading } from '../ports/counter-store.ts';
import type { Wiring } from '../wiring.ts';
import { type PlannedCharge, quotaState } from './charges.ts';
import type { Debts } from './debts.ts';
import type { AskedReservation, Decision, Decisions } from './decisions.ts';
import type { Outage } from './outage.ts';
import { createPlanner } from './planner.ts';
import { reservationHandle, type Settler } from './reservation-handle.ts';
import type { Admission, QuotaState, ReservationHandle, ReservationRecord, ReserveRequest } from './types.ts';

/** The gate: takes units before a create runs, or refuses. */
export interface Reservations {
  reserve(request: ReserveRequest): Promise<Admission>;
  resume(record: ReservationRecord): ReservationHandle;
}

/** How often a create may be tried anew under one idempotency key after it failed for certain. */
const MAX_ATTEMPTS = 16;

export function createReservations(
  wiring: Pick<Wiring, 'catalog' | 'settings' | 'clock' | 'ids' | 'telemetry'>,
  parts: {
    readonly orgViews: OrgViews;
    readonly decisions: Decisions;
    readonly settler: Settler;
    readonly debts: Debts;
    readonly outage: Outage;
    /** Told of the quotas of every decision. */
    readonly observe: (org: string, quotas: readonly QuotaState[]) => void;
  },
): Reservations {
  const { orgViews, decisions, settler, debts, outage, observe } = parts;
  const { settings, clock, telemetry } = wiring;
  const planner = createPlanner(wiring.catalog);
  const { leaseMs, maxHeldPerOrg: maxHeld } = settings;
  // An id that only its handle knows must be nobody else's: a random start for this engine, then a count.
  const engineId = wiring.ids.next();
  let made = 0;

  async function reserve(request: ReserveRequest): Promise<Admission> {
    const org = checkOrgId(request.org, settings.orgIdPattern);
    let charges: readonly PlannedCharge[] | null = null;
    try {
      const known = orgViews.of(org);
      const view: OrgView = known instanceof Promise ? await known : known;
      charges = planner.plan(request, view, clock.now());
      // What the org owes is counted before its create is decided.
      if (debts.size > 0) await debts.pay(org);
      const admission =
        request.idempotencyKey === undefined
          ? await reserveFresh(org, charges)
          : await reserveOnce(org, charges, request.idempotencyKey);
      if (debts.size > 0) void debts.payAll();
      observe(org, admission.quotas);
      return admission;
    } catch (error) {
      if (!isUnavailable(error)) throw error;
      const policy = request.onStoreError ?? settings.onStoreError;
      telemetry.count('tollgate.unavailable', 1, { policy });
      const admission = await outage.admit(org, charges, policy, error);
      observe(org, admission.quotas);
      return admission;
    }
  }

  function reserveFresh(org: string, charges: readonly PlannedCharge[]): Promise<Admission> {
    const asked = {
      org,
      id: `${engineId}.${(made++).toString(36)}`,
      charges,
      rememberMs: 0,
      leaseMs,
      maxHeld,
    };
    return decisions.ask(asked).then((decision) => admissionOf(asked, decision));
  }

  /** One key of the caller's may need several reservations: a create that failed for certain may be tried again. */
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
      const decision = await decisions.ask(asked);
      if (decision.outcome !== 'repeated') return admissionOf(asked, decision);
      if (decision.state === 'held') throw new TollgateError('request_in_progress', { retryAfterSeconds: 1 });
      if (decision.state === 'committed') return admitted(asked, [], DONE, true);
    }
    throw new TollgateError('reservation_conflict');
  }

  function admissionOf(asked: AskedReservation, decision: Decision): Admission {
    if (decision.outcome === 'reserved') return admitted(asked, decision.readings, settler, false);
    // A fresh id that is known already was made by somebody else: that cannot be told apart from a fault of ours.
    if (decision.outcome === 'repeated') throw new TollgateError('internal_error');
    const quotas = asked.charges.map((charge, i) => quotaState(charge, decision.readings[i]));
    const denied = decision.misfits.flatMap((i) => quotas[i] ?? []);
    for (const { key } of denied) telemetry.count('tollgate.denied', 1, { key });
    return { admitted: false, denied, quotas };
  }

  return { reserve, resume: (record) => reservationHandle(record, settler) };
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
    quotas: asked.charges.map((charge, i) => quotaState(charge, readings[i])),
    decidedBy: 'store',
    repeated,
  };
}

/** The settler of a create that was committed before: there is nothing left to settle. */
const DONE: Settler = {
  settle: () => Promise.resolve({ outcome: 'repeated', state: 'committed' }),
  commitWithin: () => Promise.resolve(),
  keepAlive: () => undefined,
  letLapse: () => undefined,
  letGo: () => undefined,
};

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
