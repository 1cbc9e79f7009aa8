import { describeFailure } from '../errors/describe-failure.ts';
import { outsideRequests } from '../outside-requests.ts';
import type { Adjustment, Charge } from '../ports/counter-store.ts';
import type { Wiring } from '../wiring.ts';
import { MOST_FAILURES } from './most-failures.ts';
import type { Recounts } from './recounts.ts';
import type { Snapshots } from './snapshots.ts';
import { storeId } from './store-id.ts';

/** Units that are used though the store does not count them: what an outage let through, and what a store lost. */
export interface Debts {
  /** How many orgs owe. */
  size(): number;
  /** @param id - what the debt is known by where it may be told more than once */
  owe(org: string, charges: readonly Charge[], amounts?: readonly number[], id?: string): void;
  /**
   * Pays all that an org owes, each debt once, however often it has to be tried; who asks meanwhile joins.
   *
   * @throws TollgateError `quota_unavailable` when it cannot be paid now: it stays owed
   */
  pay(org: string): Promise<void>;
  /** Pays for all orgs, as far as it can. To be called when the store has answered. */
  payAll(): Promise<void>;
}

interface Debt {
  readonly id: string;
  /** How long the store is to recognise it, ms. */
  readonly rememberMs: number;
  readonly adjustments: Map<string, Adjustment>;
  /** The store may know it: nothing can be added to it any more. */
  isClosed: boolean;
}

interface Debtor {
  /** Oldest first; only to the last, if it is open, anything is added. */
  readonly debts: Debt[];
  paying: Promise<void> | null;
}

/** Counters that may be owed at once; beyond it capacity heals by recount and metered use is lost, which the metrics say. */
const MAX_OWED = 10_000;
/** Counters of an org that are paid at once: a store that takes too long for all of them would never be paid. */
const MOST_AT_ONCE = 100;
/** How long at least the store recognises a debt, ms: longer than any outage after which it is paid again. */
const REMEMBER_MS = 86_400_000;
const WARN_EVERY_MS = 10_000;

export function createDebts(
  wiring: Pick<Wiring, 'catalog' | 'counters' | 'ids' | 'settings' | 'logger' | 'telemetry'>,
  recounts: Pick<Recounts, 'fill'>,
  snapshots: Pick<Snapshots, 'note'>,
): Debts {
  const { catalog, counters, ids, settings, logger, telemetry } = wiring;
  /** Who could not pay stands last. */
  const debtors = new Map<string, Debtor>();
  let owed = 0;
  let paying: Promise<void> | null = null;
  /** Whether the store has answered since units were last owed, or could not be paid. */
  let isAnswering = false;
  let silentUntil = 0;

  function openDebt(org: string): Debt | undefined {
    const last = debtors.get(org)?.debts.at(-1);
    return last?.isClosed === false ? last : undefined;
  }

  function makeDebt(org: string, id: string | undefined): Debt {
    const isKnown = id !== undefined;
    const debt = {
      id: id ?? ids.next(),
      // One that goes by its create's id may be told again for as long as that is.
      rememberMs: isKnown ? Math.max(REMEMBER_MS, settings.idempotencyMs) : REMEMBER_MS,
      adjustments: new Map(),
      isClosed: isKnown,
    };
    const debtor = debtors.get(org);
    if (debtor === undefined) debtors.set(org, { debts: [debt], paying: null });
    else debtor.debts.push(debt);
    return debt;
  }

  /** A store that is away may keep for later what it is told: so as not to fill it with payments, it is asked first whether it answers. */
  async function ask(org: string, { adjustments }: Debt): Promise<void> {
    await counters.read({ org, counters: [...adjustments.values()].slice(0, MOST_AT_ONCE) });
  }

  async function payOne(org: string, debt: Debt): Promise<void> {
    if (debt.isClosed || !isAnswering) await ask(org, debt);
    debt.isClosed = true;
    let left = [...debt.adjustments.values()];
    const filled = new Set<Adjustment>();
    while (left.length > 0) {
      const request = { org, adjustments: left, id: debt.id, rememberMs: debt.rememberMs };
      const { missing } = await counters.adjust(request);
      if (missing.length === 0) break;
      const absent = missing.flatMap((i) => left[i] ?? []);
      const seen = await recounts.fill(org, absent);
      // What is missing again belongs to a window that is over: no count of it is kept.
      const done = new Set(absent.filter((one, i) => seen[i] === true || filled.has(one)));
      for (const one of absent) filled.add(one);
      left = left.filter((one) => !done.has(one));
    }
    for (const { key, window, forgetAt, change } of left) {
      if (change === 'charged') snapshots.note(org, { key, window, endsAt: forgetAt });
    }
  }

  function split({ rememberMs, adjustments }: Debt): readonly Debt[] {
    const all = [...adjustments];
    const parts: Debt[] = [];
    for (let start = 0; start < all.length; start += MOST_AT_ONCE) {
      const some = new Map(all.slice(start, start + MOST_AT_ONCE));
      parts.push({ id: ids.next(), rememberMs, adjustments: some, isClosed: false });
    }
    return parts;
  }

  async function payOrg(org: string, debtor: Debtor): Promise<void> {
    const { debts } = debtor;
    try {
      for (let debt = debts[0]; debt !== undefined; debt = debts[0]) {
        // What the store may know stays as it is: a create has few counters.
        if (!debt.isClosed && debt.adjustments.size > MOST_AT_ONCE) {
          // Until the store answers, what is owed meanwhile adds up in it.
          await ask(org, debt);
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
    // Reaches those too who owe meanwhile: who joins may be about to end the process.
    for (const org of debtors.keys()) {
      if (failed.has(org)) continue;
      try {
        await pay(org);
        failures = 0;
      } catch (error) {
        failed.add(org);
        warnSometimes(error);
        failures += 1;
        if (failures === MOST_FAILURES) return;
      }
    }
  }

  function warnSometimes(error: unknown): void {
    const now = performance.now();
    if (now < silentUntil) return;
    silentUntil = now + WARN_EVERY_MS;
    logger.warn('units that are in use are not counted yet', { counters: owed, ...describeFailure(error) });
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
        // What counts only once it is sure to be used is a debt of its own: of a create that lapsed, or was given up, the rest is owed
        // before anybody commits it, and under the create's id the store takes one debt.
        const toldAs = id !== undefined && onUnknown === 'release' ? storeId('sure', id) : id;
        const debt = made.get(toldAs);
        const before = debt?.adjustments.get(name);
        if (before === undefined && owed >= MAX_OWED) {
          telemetry.count('tollgate.uncounted', amount, { key });
          continue;
        }
        if (before === undefined) owed += 1;
        const sum = Math.min(amount + (before?.amount ?? 0), Number.MAX_SAFE_INTEGER);
        const change = catalog.quota(key)?.kind === 'capacity' ? 'created' : 'charged';
        const into = debt ?? makeDebt(org, toldAs);
        into.adjustments.set(name, { key, window, forgetAt, amount: sum, change });
        made.set(toldAs, into);
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
