import { describeFailure } from '../errors/describe-failure.ts';
import { outsideRequests } from '../outside-requests.ts';
import type { Adjustment, Charge } from '../ports/counter-store.ts';
import { warnSometimes } from '../warn-sometimes.ts';
import type { Wiring } from '../wiring.ts';
import { MOST_FAILURES } from './most-failures.ts';
import type { Recounts } from './recounts.ts';
import type { Snapshots } from './snapshots.ts';
import { storeId } from './store-id.ts';

/** Units in use that the store does not count: those admitted during an outage, and those that a store lost. */
export interface Debts {
  /** How many orgs owe. */
  size(): number;
  /** @param id - identifies the debt, if it may be reported more than once */
  owe(org: string, charges: readonly Charge[], amounts?: readonly number[], id?: string): void;
  /**
   * Pays all that an org owes, each debt once, however many attempts it takes. Concurrent callers share one payment.
   *
   * @throws TollgateError `quota_unavailable` if it cannot be paid now: it stays owed
   */
  pay(org: string): Promise<void>;
  /** Pays for all orgs, as far as possible. Call it when the store has replied. */
  payAll(): Promise<void>;
}

interface Debt {
  readonly id: string;
  /** How long the store must recognise it, ms. */
  readonly rememberMs: number;
  readonly adjustments: Map<string, Adjustment>;
  /** Whether the store may know it: then nothing can be added to it. */
  isClosed: boolean;
}

interface Debtor {
  /** Oldest first. Units are only added to the last one, if it is open. */
  readonly debts: Debt[];
  paying: Promise<void> | null;
}

/** Most counters owed at once. Beyond it, capacity is corrected by a recount, and metered use is lost, which a metric shows. */
const MAX_OWED = 10_000;
/** Counters of an org paid in one call: a store that times out on all of them together would never be paid. */
const MAX_AT_ONCE = 100;
/** The least time that the store recognises a debt, ms: longer than any outage after which a payment is retried. */
const REMEMBER_MS = 86_400_000;

export function createDebts(
  wiring: Pick<Wiring, 'catalog' | 'counters' | 'ids' | 'settings' | 'logger' | 'telemetry'>,
  recounts: Pick<Recounts, 'fill'>,
  snapshots: Pick<Snapshots, 'note'>,
): Debts {
  const { catalog, counters, ids, settings, logger, telemetry } = wiring;
  /** Orgs whose payment failed come last. */
  const debtors = new Map<string, Debtor>();
  let owed = 0;
  let paying: Promise<void> | null = null;
  /** Whether the store has replied since units were last added, or could not be paid. */
  let isAnswering = false;

  function openDebt(org: string): Debt | undefined {
    const last = debtors.get(org)?.debts.at(-1);
    return last?.isClosed === false ? last : undefined;
  }

  function makeDebt(org: string, id: string | undefined): Debt {
    const isKnown = id !== undefined;
    const debt = {
      id: id ?? ids.next(),
      // A debt under its create's id may be reported again for as long as that id is remembered.
      rememberMs: isKnown ? Math.max(REMEMBER_MS, settings.idempotencyMs) : REMEMBER_MS,
      adjustments: new Map(),
      isClosed: isKnown,
    };
    const debtor = debtors.get(org);
    if (debtor === undefined) debtors.set(org, { debts: [debt], paying: null });
    else debtor.debts.push(debt);
    return debt;
  }

  /** A store that is away may queue what it is sent. It is first asked whether it replies, so that payments do not fill the queue. */
  async function probe(org: string, { adjustments }: Debt): Promise<void> {
    await counters.read({ org, counters: [...adjustments.values()].slice(0, MAX_AT_ONCE) });
  }

  async function payOne(org: string, debt: Debt): Promise<void> {
    if (debt.isClosed || !isAnswering) await probe(org, debt);
    debt.isClosed = true;
    let remaining = [...debt.adjustments.values()];
    const filled = new Set<Adjustment>();
    while (remaining.length > 0) {
      const request = { org, adjustments: remaining, id: debt.id, rememberMs: debt.rememberMs };
      const { missing } = await counters.adjust(request);
      if (missing.length === 0) break;
      const absent = missing.flatMap((i) => remaining[i] ?? []);
      const seen = await recounts.fill(org, absent);
      // A counter that is missing again belongs to a window that is over, so no count of it is kept.
      const done = new Set(absent.filter((one, i) => seen[i] === true || filled.has(one)));
      for (const one of absent) filled.add(one);
      remaining = remaining.filter((one) => !done.has(one));
    }
    for (const { key, window, forgetAt, change } of remaining) {
      if (change === 'charged') snapshots.note(org, { key, window, endsAt: forgetAt });
    }
  }

  function split({ rememberMs, adjustments }: Debt): readonly Debt[] {
    const all = [...adjustments];
    const parts: Debt[] = [];
    for (let start = 0; start < all.length; start += MAX_AT_ONCE) {
      const some = new Map(all.slice(start, start + MAX_AT_ONCE));
      parts.push({ id: ids.next(), rememberMs, adjustments: some, isClosed: false });
    }
    return parts;
  }

  async function payOrg(org: string, debtor: Debtor): Promise<void> {
    const { debts } = debtor;
    try {
      for (let debt = debts[0]; debt !== undefined; debt = debts[0]) {
        // A debt that the store may know is not split. It is small, since a create has few counters.
        if (!debt.isClosed && debt.adjustments.size > MAX_AT_ONCE) {
          // Until the store replies, units owed meanwhile are still added to this debt.
          await probe(org, debt);
          debts.splice(0, 1, ...split(debt));
          continue;
        }
        await payOne(org, debt);
        debts.shift();
        owed -= debt.adjustments.size;
      }
      debtors.delete(org);
    } catch (error) {
      isAnswering = false;
      debtors.delete(org);
      debtors.set(org, debtor);
      throw error;
    } finally {
      debtor.paying = null;
    }
  }

  async function pay(org: string): Promise<void> {
    const debtor = debtors.get(org);
    if (debtor === undefined) return;
    debtor.paying ??= payOrg(org, debtor);
    await debtor.paying;
  }

  async function payEach(): Promise<void> {
    let failures = 0;
    const failed = new Set<string>();
    // Also reaches orgs that become debtors meanwhile, since a caller who joins may be about to end the process.
    for (const org of debtors.keys()) {
      if (failed.has(org)) continue;
      try {
        await pay(org);
        failures = 0;
      } catch (error) {
        failed.add(org);
        const facts = { org, counters: owed, ...describeFailure(error) };
        warnSometimes(logger, 'units that are in use are not counted yet', facts);
        failures += 1;
        if (failures === MOST_FAILURES) return;
      }
    }
  }

  return {
    size: () => debtors.size,
    owe(org, charges, amounts, id) {
      isAnswering = false;
      const made = new Map<string | undefined, Debt | undefined>([[undefined, openDebt(org)]]);
      for (const [i, { key, window, forgetAt, onUnknown, amount: whole }] of charges.entries()) {
        const amount = amounts?.[i] ?? whole;
        if (amount === 0) continue;
        const name = `${key}\n${window}`;
        // Units that only count after a commit are a separate debt. If a create lapses or is abandoned, its other units are owed before
        // anybody commits it, and the store takes only one debt per id.
        const debtId = id !== undefined && onUnknown === 'release' ? storeId('sure', id) : id;
        const debt = made.get(debtId);
        const before = debt?.adjustments.get(name);
        if (before === undefined && owed >= MAX_OWED) {
          telemetry.count('tollgate.uncounted', amount, { key });
          continue;
        }
        if (before === undefined) owed += 1;
        const sum = Math.min(amount + (before?.amount ?? 0), Number.MAX_SAFE_INTEGER);
        const change = catalog.quota(key)?.kind === 'capacity' ? 'created' : 'charged';
        const into = debt ?? makeDebt(org, debtId);
        into.adjustments.set(name, { key, window, forgetAt, amount: sum, change });
        made.set(debtId, into);
      }
    },
    pay,
    payAll() {
      isAnswering = true;
      paying ??= outsideRequests(payEach).finally(() => {
        paying = null;
      });
      return paying;
    },
  };
}
