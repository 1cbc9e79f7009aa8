import type { Charge, CounterStore, RecountToken, Reservation } from '@tollgate/core';
import fc from 'fast-check';

const COUNTER = { key: 'devices', window: 'lifetime' };
const ORG = 'acme';

/** A create in progress: it holds `amount`, has written `rows` so far, and writes nothing once its lease has ended. */
interface Handler {
  readonly reservation: Reservation;
  readonly amount: number;
  leaseEndsAt: number;
  rows: number;
  isDone: boolean;
}

interface OpenRecount {
  readonly token: RecountToken;
  readonly deletesSeen: number;
  count: number | null;
}

/** A host with real rows, creates in progress, and deletes it has not reported yet. */
export class SimulatedHost {
  readonly store: CounterStore;
  readonly limit: number;
  readonly #clock: { now(): number; advance(ms: number): void };
  rows: number;
  readonly handlers: Handler[] = [];
  readonly #recounts: OpenRecount[] = [];
  #unreportedDeletes = 0;
  /** Deletes so far, and how many of them the last applied count is sure to have seen. */
  #deletes = 0;
  #deletesSeen = 0;
  #made = 0;

  constructor(options: {
    readonly store: CounterStore;
    readonly clock: { now(): number; advance(ms: number): void };
    readonly limit: number;
    readonly rows: number;
  }) {
    this.store = options.store;
    this.limit = options.limit;
    this.rows = options.rows;
    this.#clock = options.clock;
  }

  /** Units that handlers with a live lease may still turn into rows. */
  get mayStillCome(): number {
    const live = this.handlers.filter(
      ({ isDone, leaseEndsAt }) => !isDone && this.#clock.now() < leaseEndsAt,
    );
    return live.reduce((sum, { amount, rows }) => sum + amount - rows, 0);
  }

  async create(amount: number, leaseMs: number): Promise<'reserved' | 'denied' | 'unknown'> {
    const charge: Charge = { ...COUNTER, amount, limit: this.limit, onUnknown: 'uncertain', forgetAt: null };
    this.#made += 1;
    const reservation = { org: ORG, id: `create-${this.#made}`, charges: [charge], rememberMs: 0 };
    const { outcome } = await this.store.reserve({ ...reservation, leaseMs, maxHeld: 1_000 });
    if (outcome !== 'reserved' && outcome !== 'denied' && outcome !== 'unknown')
      throw new Error(`reserve answered ${outcome}`);
    if (outcome === 'reserved') {
      this.handlers.push({
        reservation,
        amount,
        leaseEndsAt: this.#clock.now() + leaseMs,
        rows: 0,
        isDone: false,
      });
    }
    return outcome;
  }

  write(handler: Handler, rows: number): void {
    if (handler.isDone || this.#clock.now() >= handler.leaseEndsAt) return;
    const written = Math.min(rows, handler.amount - handler.rows);
    handler.rows += written;
    this.rows += written;
  }

  async renew(handler: Handler, leaseMs: number): Promise<void> {
    if (handler.isDone) return;
    const [isHeld] = await this.store.renew({ leases: [handler.reservation], leaseMs });
    if (isHeld) handler.leaseEndsAt = this.#clock.now() + leaseMs;
  }

  /** Settles, however late: commits the rows that were written, releases if there are none, or reports the end as unknown. */
  async end(handler: Handler, how: 'truthfully' | 'unknown'): Promise<void> {
    if (handler.isDone) return;
    handler.isDone = true;
    const as = how === 'unknown' ? 'unknown' : handler.rows > 0 ? 'commit' : 'release';
    const amounts = as === 'commit' ? { amounts: [handler.rows] } : {};
    await this.store.settle({ ...handler.reservation, as, ...amounts });
  }

  /** The process died: it neither settles nor writes any more. */
  crash(handler: Handler): void {
    handler.isDone = true;
  }

  deleteRow(): void {
    if (this.rows === 0) return;
    this.rows -= 1;
    this.#unreportedDeletes += 1;
    this.#deletes += 1;
  }

  async reportDeletes(): Promise<void> {
    if (this.#unreportedDeletes === 0) return;
    const adjustments = [
      { ...COUNTER, amount: this.#unreportedDeletes, change: 'deleted', forgetAt: null } as const,
    ];
    const { missing } = await this.store.adjust({ org: ORG, adjustments });
    if (missing.length === 0) this.#unreportedDeletes = 0;
  }

  /** The deletes so far will never be reported. */
  forgetDeletes(): void {
    this.#unreportedDeletes = 0;
  }

  async beginRecount(): Promise<void> {
    const [token] = await this.store.beginRecount({ org: ORG, counters: [COUNTER] });
    if (token) this.#recounts.push({ token, deletesSeen: this.#deletes, count: null });
  }

  countRows(which: number): void {
    const recount = this.#recounts[which % this.#recounts.length];
    if (recount) recount.count = this.rows;
  }

  async finishRecount(which: number): Promise<void> {
    const [recount] = this.#recounts.splice(which % Math.max(1, this.#recounts.length), 1);
    if (recount && recount.count !== null) await this.#finish(recount, recount.count);
  }

  async recount(): Promise<void> {
    const [token] = await this.store.beginRecount({ org: ORG, counters: [COUNTER] });
    if (token) await this.#finish({ token, deletesSeen: this.#deletes, count: this.rows }, this.rows);
  }

  async #finish({ token, deletesSeen }: OpenRecount, count: number): Promise<void> {
    const counts = [{ ...token, count, forgetAt: null }];
    const [result] = await this.store.finishRecount({ org: ORG, counts });
    if (result?.applied) this.#deletesSeen = deletesSeen;
  }

  advance(ms: number): void {
    this.#clock.advance(ms);
  }

  async read() {
    const [reading] = await this.store.read({ org: ORG, counters: [COUNTER] });
    return reading ?? null;
  }

  /**
   * Checks what must hold after every step: never more rows than the limit, never fewer units in use than there may be rows, and a count
   * reported as certain is the truth, except for deletes since it was counted (Q1, Q6, Q8).
   */
  async check(): Promise<void> {
    if (this.rows + this.mayStillCome > this.limit) {
      throw new Error(`${this.rows} rows and ${this.mayStillCome} to come, at a limit of ${this.limit}`);
    }
    const reading = await this.read();
    if (reading === null) return;
    const used = reading.committed + reading.held + reading.uncertain;
    if (used < this.rows + this.mayStillCome) {
      throw new Error(`${this.rows} rows and ${this.mayStillCome} to come, but ${JSON.stringify(reading)}`);
    }
    const isCertain = reading.held === 0 && reading.uncertain === 0 && this.#deletes === this.#deletesSeen;
    if (isCertain && reading.committed !== this.rows)
      throw new Error(`${this.rows} rows, but surely ${reading.committed}`);
  }

  /** Ends or lets lapse everything in progress, recounts once, and checks that the count is the truth and all capacity usable (Q5, Q8). */
  async settleDown(): Promise<void> {
    for (const [index, handler] of this.handlers.entries()) {
      if (index % 2 === 0) await this.end(handler, 'truthfully');
    }
    this.advance(3_600_000);
    await this.recount();
    const reading = await this.read();
    const isExact = reading?.committed === this.rows && reading.held === 0 && reading.uncertain === 0;
    if (!isExact) throw new Error(`${this.rows} rows at rest, but ${JSON.stringify(reading)}`);
    let admitted = 0;
    while ((await this.create(1, 1_000)) === 'reserved') admitted += 1;
    if (admitted !== this.limit - this.rows)
      throw new Error(`${admitted} admitted, with ${this.rows} rows of ${this.limit}`);
  }
}

/** One step of a host. */
export type HostStep = {
  readonly name: string;
  readonly act: (host: SimulatedHost) => Promise<unknown> | unknown;
};

/** Generates everything that can happen to a host from one moment to the next, failures included. */
export function hostSteps(): fc.Arbitrary<HostStep> {
  const which = fc.nat(9);
  const amount = fc.integer({ min: 1, max: 3 });
  const leaseMs = fc.constantFrom(1_000, 2_000, 5_000);
  const step = (name: string, act: HostStep['act']): HostStep => ({ name, act });
  const onHandler = (name: string, act: (host: SimulatedHost, handler: Handler) => unknown, pick: number) =>
    step(`${name} #${pick}`, (host) => {
      const open = host.handlers.filter(({ isDone }) => !isDone);
      const handler = open[pick % Math.max(1, open.length)];
      return handler && act(host, handler);
    });
  return fc.oneof(
    {
      weight: 8,
      arbitrary: fc
        .tuple(amount, leaseMs)
        .map(([n, ms]) => step(`create ${n} for ${ms}`, (host) => host.create(n, ms))),
    },
    {
      weight: 8,
      arbitrary: fc
        .tuple(which, amount)
        .map(([pick, n]) => onHandler(`write ${n}`, (host, handler) => host.write(handler, n), pick)),
    },
    {
      weight: 6,
      arbitrary: which.map((pick) =>
        onHandler('end', (host, handler) => host.end(handler, 'truthfully'), pick),
      ),
    },
    {
      weight: 2,
      arbitrary: which.map((pick) =>
        onHandler('fail', (host, handler) => host.end(handler, 'unknown'), pick),
      ),
    },
    {
      weight: 1,
      arbitrary: which.map((pick) => onHandler('crash', (host, handler) => host.crash(handler), pick)),
    },
    {
      weight: 1,
      arbitrary: fc
        .tuple(which, leaseMs)
        .map(([pick, ms]) => onHandler('renew', (host, handler) => host.renew(handler, ms), pick)),
    },
    { weight: 5, arbitrary: fc.constant(step('delete a row', (host) => host.deleteRow())) },
    { weight: 3, arbitrary: fc.constant(step('report deletes', (host) => host.reportDeletes())) },
    { weight: 1, arbitrary: fc.constant(step('forget deletes', (host) => host.forgetDeletes())) },
    { weight: 4, arbitrary: fc.constant(step('begin a recount', (host) => host.beginRecount())) },
    {
      weight: 5,
      arbitrary: which.map((pick) => step(`count rows #${pick}`, (host) => host.countRows(pick))),
    },
    {
      weight: 4,
      arbitrary: which.map((pick) => step(`finish recount #${pick}`, (host) => host.finishRecount(pick))),
    },
    { weight: 3, arbitrary: fc.constant(step('recount', (host) => host.recount())) },
    {
      weight: 4,
      arbitrary: fc
        .constantFrom(500, 1_000, 2_000)
        .map((ms) => step(`wait ${ms}`, (host) => host.advance(ms))),
    },
  );
}
