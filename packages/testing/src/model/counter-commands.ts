import { isDeepStrictEqual } from 'node:util';
import type {
  Adjustment,
  Charge,
  CounterRef,
  CounterStore,
  OnUnknown,
  RecountToken,
  Reservation,
} from '@tollgate/core';
import fc from 'fast-check';
import { CounterOracle, type OracleToken } from './counter-oracle.ts';

/** The state of the model during a history. Times are ms since the history began, when the store's clock showed `startsAt`. */
export class CounterHistory {
  readonly startsAt: number;
  readonly slackMs: number;
  now = 0;
  readonly #lapsedKeepMs: number;
  readonly #orgs = new Map<string, CounterOracle>();
  /** What was reserved under each id, by org and id. */
  readonly asked = new Map<string, Pick<Reservation, 'org' | 'id' | 'charges'>>();
  readonly tokens: { readonly org: string; readonly ours: OracleToken; readonly theirs: RecountToken }[] = [];

  constructor(options: {
    readonly startsAt: number;
    readonly lapsedKeepMs: number;
    readonly slackMs: number;
  }) {
    this.startsAt = options.startsAt;
    this.slackMs = options.slackMs;
    this.#lapsedKeepMs = options.lapsedKeepMs;
  }

  org(org: string): CounterOracle {
    const oracle = this.#orgs.get(org) ?? new CounterOracle(this.#lapsedKeepMs);
    this.#orgs.set(org, oracle);
    return oracle.at(this.now);
  }

  /** Throws unless the store's answer is what the port specifies. Ages may differ by the slack of a clock that runs by itself. */
  compare(actual: unknown, expected: unknown): void {
    if (isDeepStrictEqual(actual, expected)) return;
    if (this.slackMs > 0 && isDeepStrictEqual(this.#aligned(actual, expected), expected)) return;
    throw new Error(
      `The store answered\n  ${JSON.stringify(actual)}\nwhere the port says\n  ${JSON.stringify(expected)}`,
    );
  }

  #aligned(actual: unknown, expected: unknown): unknown {
    if (typeof actual !== 'object' || actual === null || typeof expected !== 'object' || expected === null)
      return actual;
    if (Array.isArray(actual))
      return actual.map((item, index) => this.#aligned(item, (expected as unknown[])[index]));
    const entries = Object.entries(actual).map(([name, value]) => {
      const other = (expected as Record<string, unknown>)[name];
      const isClose = name === 'countAgeMs' && Math.abs(Number(value) - Number(other)) <= this.slackMs;
      return [name, isClose ? other : this.#aligned(value, other)];
    });
    return Object.fromEntries(entries);
  }
}

/** The store a history runs on. */
export interface CounterWorld {
  readonly store: CounterStore;
  advance(ms: number): Promise<void> | void;
}

export type CounterCommand = fc.AsyncCommand<CounterHistory, CounterWorld>;

/** The granularity of instants and durations: whole steps, plus `offsetMs` for durations. */
export interface CounterGrid {
  readonly stepMs: number;
  /** 0 hits every instant exactly. Half a step stays clear of them, which a clock that also runs by itself needs. */
  readonly offsetMs: number;
  readonly lapsedKeepMs: number;
}

const ORGS = ['acme', 'globex'];
const COUNTERS: readonly CounterRef[] = [
  { key: 'devices', window: 'lifetime' },
  { key: 'zones', window: 'lifetime' },
  { key: 'opens', window: 'day:2026-04-09' },
  { key: 'opens', window: 'month:2026-04' },
];
const NEVER_ASKED: readonly Charge[] = [
  { key: 'devices', window: 'lifetime', amount: 1, limit: null, onUnknown: 'uncertain', forgetAt: null },
];
/** A recount begun on an uncounted counter is finished only while the store is sure to keep its mark, ms. */
const MAX_TOKEN_AGE_MS = 300_000;

/** Generates commands on a counter store, through the port alone. */
export function counterStoreCommands(grid: CounterGrid): fc.Arbitrary<CounterCommand> {
  const later = (steps: number) => steps * grid.stepMs + grid.offsetMs;
  const org = fc.constantFrom(...ORGS);
  const id = fc.constantFrom('r1', 'r2', 'r3', 'r4', 'r5', 'r6');
  const counter = fc.constantFrom(...COUNTERS);
  const forgetIn = fc.oneof(
    { weight: 8, arbitrary: fc.constant(null) },
    { weight: 1, arbitrary: fc.integer({ min: 1, max: 12 }).map(later) },
  );
  // Usually one of the ids that were reserved.
  const made = fc.oneof({ weight: 9, arbitrary: fc.nat(11) }, { weight: 1, arbitrary: fc.constant(null) });
  const remember = fc.constantFrom(0, 0, later(4), later(40));
  const lease = fc.constantFrom(later(1), later(2), later(6));
  const charges = fc.uniqueArray(
    fc.record({
      counter,
      amount: fc.integer({ min: 1, max: 3 }),
      limit: fc.option(fc.constantFrom(0, 2, 4, 6, 9, 12), { freq: 6 }),
      onUnknown: fc.constantFrom<OnUnknown>('uncertain', 'release', 'commit'),
      forgetIn,
    }),
    { minLength: 1, maxLength: 3, selector: (charge) => charge.counter.key + charge.counter.window },
  );

  const reserve = fc.record({
    org,
    id,
    charges,
    rememberMs: remember,
    leaseMs: lease,
    maxHeld: fc.constantFrom(2, 100, 100),
    isRetry: fc.boolean(),
  });
  const settle = fc.record({
    made,
    as: fc.constantFrom<'commit' | 'release' | 'unknown'>('commit', 'commit', 'release', 'unknown'),
    kept: fc.option(fc.array(fc.nat(3), { minLength: 3, maxLength: 3 }), { freq: 2 }),
    rememberMs: remember,
    // The store goes by the limits, `onUnknown` and `forgetAt` of the reserve, whatever the settle says.
    isAltered: fc.boolean(),
  });
  const adjust = fc.record({
    org,
    changes: fc.array(
      fc.record({
        counter,
        amount: fc.integer({ min: 1, max: 4 }),
        change: fc.constantFrom<Adjustment['change']>('charged', 'refunded', 'created', 'deleted'),
        forgetIn,
      }),
      { minLength: 1, maxLength: 2 },
    ),
    once: fc.option(fc.record({ id: fc.constantFrom('r1', 'a1', 'a2'), rememberMs: remember }), { freq: 2 }),
  });
  const counters = fc.uniqueArray(counter, { minLength: 1, maxLength: 2 });
  const longSteps = Math.ceil(grid.lapsedKeepMs / 2 / grid.stepMs);

  return fc.oneof(
    { weight: 10, arbitrary: reserve.map(reserveCommand) },
    { weight: 9, arbitrary: settle.map(settleCommand) },
    { weight: 2, arbitrary: fc.record({ made, leaseMs: lease }).map(renewCommand) },
    { weight: 4, arbitrary: adjust.map(adjustCommand) },
    { weight: 2, arbitrary: org.map(readCommand) },
    { weight: 3, arbitrary: fc.record({ org, counters }).map(beginCommand) },
    { weight: 4, arbitrary: fc.record({ which: fc.nat(5), count: fc.nat(6), forgetIn }).map(finishCommand) },
    { weight: 5, arbitrary: fc.record({ org, count: fc.nat(4), forgetIn }).map(recountCommand) },
    {
      weight: 5,
      arbitrary: fc.constantFrom(1, 1, 2, 3, 7, longSteps).map((steps) => waitCommand(steps * grid.stepMs)),
    },
  );
}

/** Reads every counter of every org and compares it with the model. Every history ends with this. */
export async function readEverything(model: CounterHistory, world: CounterWorld): Promise<void> {
  for (const org of ORGS) await readOrg(model, world, org);
}

function command(
  name: string,
  what: unknown,
  run: CounterCommand['run'],
  check: (model: Readonly<CounterHistory>) => boolean = () => true,
): CounterCommand {
  return { check, run, toString: () => `${name} ${JSON.stringify(what)}` };
}

function after(now: number, ms: number | null): number | null {
  return ms === null ? null : now + ms;
}

/** The same items with instants on the store's clock. */
function onStoreClock<T extends { readonly forgetAt: number | null }>(
  model: CounterHistory,
  items: readonly T[],
): T[] {
  return items.map((item) => ({ ...item, forgetAt: after(model.startsAt, item.forgetAt) }));
}

function reserveCommand(args: {
  org: string;
  id: string;
  charges: readonly (Omit<Charge, 'key' | 'window' | 'forgetAt'> & {
    counter: CounterRef;
    forgetIn: number | null;
  })[];
  rememberMs: number;
  leaseMs: number;
  maxHeld: number;
  isRetry: boolean;
}): CounterCommand {
  return command('reserve', args, async (model, { store }) => {
    const { org, id, rememberMs, leaseMs, maxHeld, isRetry } = args;
    const fresh = args.charges.map(({ counter, forgetIn, amount, limit, onUnknown }) => ({
      ...counter,
      amount,
      limit,
      onUnknown,
      forgetAt: after(model.now, forgetIn),
    }));
    const charges = (isRetry ? model.asked.get(`${org} ${id}`)?.charges : undefined) ?? fresh;
    const request = { org, id, charges, rememberMs, leaseMs, maxHeld };
    const expected = model.org(org).reserve(request);
    if (expected.outcome === 'reserved') model.asked.set(`${org} ${id}`, { org, id, charges });
    model.compare(await store.reserve({ ...request, charges: onStoreClock(model, charges) }), expected);
  });
}

/** The reservation a command refers to: one that was made, or one that never was. */
function madeReservation(
  model: CounterHistory,
  made: number | null,
): Pick<Reservation, 'org' | 'id' | 'charges'> {
  const all = [...model.asked.values()];
  return all[made === null ? -1 : made % all.length] ?? { org: 'acme', id: 'never', charges: NEVER_ASKED };
}

function altered(charge: Charge): Charge {
  const onUnknown = charge.onUnknown === 'uncertain' ? 'release' : 'uncertain';
  return { ...charge, limit: charge.limit === null ? 0 : null, onUnknown, forgetAt: null };
}

function settleCommand(args: {
  made: number | null;
  as: 'commit' | 'release' | 'unknown';
  kept: readonly number[] | null;
  rememberMs: number;
  isAltered: boolean;
}): CounterCommand {
  return command('settle', args, async (model, { store }) => {
    const { made, as, kept, rememberMs, isAltered } = args;
    const reservation = madeReservation(model, made);
    const { org, id } = reservation;
    const charges = isAltered ? reservation.charges.map(altered) : reservation.charges;
    const amounts = kept && charges.map(({ amount }, index) => Math.min(amount, kept[index] ?? 0));
    const request = { org, id, charges, rememberMs, as, ...(amounts && { amounts }) };
    const expected = model.org(org).settle(request);
    if (expected.outcome === 'gone') model.asked.delete(`${org} ${id}`);
    model.compare(await store.settle({ ...request, charges: onStoreClock(model, charges) }), expected);
  });
}

function renewCommand(args: { made: number | null; leaseMs: number }): CounterCommand {
  return command('renew', args, async (model, { store }) => {
    const { leaseMs } = args;
    const { org, id } = madeReservation(model, args.made);
    const expected = [model.org(org).renew(id, leaseMs)];
    model.compare(await store.renew({ leases: [{ org, id }], leaseMs }), expected);
  });
}

function adjustCommand(args: {
  org: string;
  changes: readonly {
    counter: CounterRef;
    amount: number;
    change: Adjustment['change'];
    forgetIn: number | null;
  }[];
  once: { id: string; rememberMs: number } | null;
}): CounterCommand {
  return command('adjust', args, async (model, { store }) => {
    const { org, changes, once } = args;
    const adjustments = changes.map(({ counter, forgetIn, amount, change }) => ({
      ...counter,
      amount,
      change,
      forgetAt: after(model.now, forgetIn),
    }));
    const expected = model.org(org).adjust({ adjustments, ...once });
    model.compare(
      await store.adjust({ org, adjustments: onStoreClock(model, adjustments), ...once }),
      expected,
    );
  });
}

function readCommand(org: string): CounterCommand {
  return command('read', { org }, (model, world) => readOrg(model, world, org));
}

async function readOrg(model: CounterHistory, { store }: CounterWorld, org: string): Promise<void> {
  const oracle = model.org(org);
  const expected = COUNTERS.map((counter) => oracle.read(counter));
  model.compare(await store.read({ org, counters: COUNTERS }), expected);
}

function beginCommand(args: { org: string; counters: readonly CounterRef[] }): CounterCommand {
  return command('begin recount', args, async (model, world) => {
    model.tokens.push(...(await beginRecount(model, world, args.org, args.counters)));
  });
}

async function beginRecount(
  model: CounterHistory,
  { store }: CounterWorld,
  org: string,
  counters: readonly CounterRef[],
) {
  const oracle = model.org(org);
  const ours = counters.map((counter) => oracle.beginRecount(counter));
  const theirs = await store.beginRecount({ org, counters });
  model.compare(
    theirs.map(({ key, window, reading }) => ({ key, window, reading })),
    ours.map(({ key, window, reading }) => ({ key, window, reading })),
  );
  return ours.flatMap((token, index) => {
    const their = theirs[index];
    return their ? [{ org, ours: token, theirs: their }] : [];
  });
}

function finishCommand(args: { which: number; count: number; forgetIn: number | null }): CounterCommand {
  const pick = (model: Readonly<CounterHistory>) => model.tokens[args.which % model.tokens.length];
  return command(
    'finish recount',
    args,
    async (model, { store }) => {
      const open = pick(model);
      if (!open) return;
      model.tokens.splice(model.tokens.indexOf(open), 1);
      const { count } = args;
      const forgetAt = after(model.now, args.forgetIn);
      const expected = [model.org(open.org).finishRecount(open.ours, count, forgetAt)];
      const counts = onStoreClock(model, [{ ...open.theirs, count, forgetAt }]);
      model.compare(await store.finishRecount({ org: open.org, counts }), expected);
    },
    (model) => {
      const open = pick(model);
      return (
        open !== undefined && (open.ours.reading !== null || model.now - open.ours.begunAt < MAX_TOKEN_AGE_MS)
      );
    },
  );
}

/** A whole recount in one command. Without it every counter would stay unknown in most histories. */
function recountCommand(args: { org: string; count: number; forgetIn: number | null }): CounterCommand {
  return command('recount all', args, async (model, world) => {
    const { org, count } = args;
    const tokens = await beginRecount(model, world, org, COUNTERS);
    const forgetAt = after(model.now, args.forgetIn);
    const oracle = model.org(org);
    const expected = tokens.map(({ ours }) => oracle.finishRecount(ours, count, forgetAt));
    const counts = tokens.map(({ theirs }) => ({ ...theirs, count, forgetAt }));
    model.compare(await world.store.finishRecount({ org, counts: onStoreClock(model, counts) }), expected);
  });
}

function waitCommand(ms: number): CounterCommand {
  return command('wait', { ms }, async (model, { advance }) => {
    model.now += ms;
    await advance(ms);
  });
}
