import { deepStrictEqual } from 'node:assert/strict';
import type { BillingRepository } from '@tollgate/core';
import fc from 'fast-check';

/** Two repositories that must answer alike, on clocks that move only when told to, and together. */
export interface BillingRepositoryPair {
  readonly reference: BillingRepository;
  readonly subject: BillingRepository;
  /** The time on both clocks, epoch ms. */
  now(): number;
  /** Advances both clocks. */
  advance(ms: number): Promise<void> | void;
}

/** One side of a history: the repository and the tokens and fences it returned, which differ between the two sides. */
export interface Side {
  readonly repository: BillingRepository;
  /** The last claim's token, by event. */
  readonly tokens: Map<string, string>;
  /** The last fence, by org. */
  readonly fences: Map<string, number>;
  readonly now: number;
}

export interface Play {
  readonly pair: BillingRepositoryPair;
  readonly reference: Omit<Side, 'now'>;
  readonly subject: Omit<Side, 'now'>;
}

export type Call = (side: Side) => Promise<unknown>;

export class Command implements fc.AsyncCommand<object, Play> {
  readonly #name: string;
  readonly #call: Call | number;

  /** @param call - what both sides do; a number advances the clocks by that many ms */
  constructor(name: string, call: Call | number) {
    this.#name = name;
    this.#call = call;
  }

  check(): boolean {
    return true;
  }

  async run(_: object, { pair, reference, subject }: Play): Promise<void> {
    if (typeof this.#call === 'number') return pair.advance(this.#call);
    const now = pair.now();
    const [expected, actual] = [
      await this.#call({ ...reference, now }),
      await this.#call({ ...subject, now }),
    ];
    deepStrictEqual(actual, expected, this.#name);
  }

  toString(): string {
    return this.#name;
  }
}

export const org = fc.constantFrom('acme', 'globex', 'b}:');
export const provider = fc.constantFrom('stripe', 'sandbox');
export const tier = fc.constantFrom('free', 'pro', null);
export const resource = fc.constantFrom('devices', 'zones');
export const rowId = fc.constantFrom('1', '2', '10', 'é');
export const durationMs = fc.constantFrom(1, 1_000, 60_000);
/** Relative to the moment a command runs. */
export const offsetMs = fc.constantFrom(-60_000, -1, 0, 1, 1_000, 3_600_000);
export const offsetOrNull = fc.option(offsetMs, { freq: 3 });
export const page = fc.record({ limit: fc.constantFrom(1, 2, 100) });
export const label = (value: unknown) => JSON.stringify(value);

/** A command whose arguments are plain data, so that a failure prints what happened. */
export function command<T>(
  name: string,
  given: fc.Arbitrary<T>,
  call: (side: Side, value: T) => Promise<unknown>,
) {
  return given.map((value) => new Command(`${name}(${label(value)})`, (side) => call(side, value)));
}

export const at = (now: number, offset: number | null) => (offset === null ? null : now + offset);

export function auditOf(now: number, subject: string, orgName: string) {
  const common = { at: now, org: orgName, actor: 'op', before: null };
  return {
    ...common,
    action: 'subscription.changed',
    subject,
    after: { subject, nested: [1, 'ü', null] },
  } as const;
}
/** How far an expected version is off: usually not at all. */
export const drift = fc.constantFrom(0, 0, 0, 7);
