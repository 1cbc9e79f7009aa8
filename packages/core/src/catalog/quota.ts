import { TollgateError } from '../errors/tollgate-error.ts';

/** The periods of a quota. `lifetime` counts rows that exist now; every other period accumulates, and starts again from zero. */
export const QUOTA_PERIODS = ['lifetime', 'day', 'week', 'month', 'per_session'] as const;
export type QuotaPeriod = (typeof QUOTA_PERIODS)[number];

/** What one unit is. */
export const QUOTA_UNITS = ['count', 'seconds'] as const;
export type QuotaUnit = (typeof QUOTA_UNITS)[number];

/** What a quota key counts; build one with {@link capacity} or {@link metered}. */
export interface QuotaDefinition {
  /** `capacity`: rows that exist now, counted by the host's inventory. `metered`: events or time, accumulated in a window. */
  readonly kind: 'capacity' | 'metered';
  readonly unit: QuotaUnit;
  /** `['lifetime']` for a capacity key, one or more of the other periods for a metered one. */
  readonly periods: readonly QuotaPeriod[];
  /** Whether the over-capacity lifecycle may pick rows of this key. Always false for a metered key. */
  readonly windsDown: boolean;
}

/** The host's registry of quota keys: what is counted, by key. */
export type QuotaRegistry<K extends string = string> = Readonly<Record<K, QuotaDefinition>>;

/**
 * Defines a quota of rows that exist now (devices, seats).
 *
 * @param options.windsDown - false for rows that must never be suspended or marked, such as members.
 * @default windsDown true
 * @throws TollgateError `invalid_configuration` for options that are invalid or misspelt
 */
export function capacity(options: { readonly windsDown?: boolean } = {}): QuotaDefinition {
  checkNames('capacity', options, ['windsDown']);
  const { windsDown = true } = options;
  if (typeof windsDown !== 'boolean')
    refuse('capacity: windsDown: is neither true nor false. Give one of these.');
  return { kind: 'capacity', unit: 'count', periods: ['lifetime'], windsDown };
}

/**
 * Defines a quota of events or time that accumulates in one or several windows.
 *
 * @param options.periods - each period is limited on its own; a create must fit all of them.
 * @default unit 'count'
 * @throws TollgateError `invalid_configuration` for options that are invalid or misspelt
 */
export function metered(options: {
  readonly periods: readonly Exclude<QuotaPeriod, 'lifetime'>[];
  readonly unit?: QuotaUnit;
}): QuotaDefinition {
  // Plain JavaScript may leave out required options. createBilling reports that, since it knows the key.
  const given = options ?? {};
  checkNames('metered', given, ['periods', 'unit']);
  const { periods = [], unit = 'count' } = given;
  return { kind: 'metered', unit, periods, windsDown: false };
}

/** A limit passed in place of options, or a misspelt name, would silently leave the defaults in force. */
function checkNames(maker: string, options: object, known: readonly string[]): void {
  if (typeof options !== 'object' || options === null || Array.isArray(options))
    refuse(`${maker}: takes an object with ${known.join(' and ')}. Limits stand in the tiers.`);
  const unknown = Object.keys(options).find((name) => !known.includes(name));
  if (unknown !== undefined)
    refuse(`${maker}: ${unknown}: is not an option. Correct its spelling or leave it out.`);
}

function refuse(message: string): never {
  throw new TollgateError('invalid_configuration', { message });
}
