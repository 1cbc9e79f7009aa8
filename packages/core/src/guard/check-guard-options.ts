import { checkNamesOf } from '../check-parts.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import { isBilling } from '../http/engine.ts';
import type { KeyCharge } from '../quota/types.ts';
import type { FrictionOptions } from './friction.ts';
import type { KeyedGuardOptions } from './guard-options.ts';

const NAMES = {
  key: true,
  amount: true,
  org: true,
  scope: true,
  idempotencyKey: true,
  onStoreError: true,
  onFailure: true,
  deniedStatus: true,
  billing: true,
} as const satisfies { readonly [P in keyof Required<KeyedGuardOptions<object>>]: true };

const CHARGE_NAMES = {
  key: true,
  amount: true,
  session: true,
} as const satisfies { readonly [P in keyof Required<KeyCharge>]: true };

const FRICTION_NAMES = {
  org: true,
  billing: true,
  maxDelayMs: true,
  isExempt: true,
} as const satisfies { readonly [P in keyof Required<FrictionOptions<object>>]: true };

/** The allowed values of each option. What a function of the request returns is checked when it is called. */
const CHOICES: Readonly<Record<string, readonly unknown[]>> = {
  onStoreError: ['closed', 'open', 'recount'],
  onFailure: ['release', 'charge'],
  deniedStatus: [429, 402, 403],
};

/** @throws TollgateError `invalid_configuration` for a wrong value or a misspelt option, which would silently keep its default in force. */
export function checkGuardOptions(
  guard: 'requireQuota' | 'releaseQuota',
  options: { readonly key: unknown },
): void {
  const faults: string[] = [];
  checkNamesOf(options, NAMES, '', faults);
  for (const [name, choices] of Object.entries(CHOICES)) {
    const value = (options as Readonly<Record<string, unknown>>)[name];
    const isPerRequest = typeof value === 'function' && name !== 'deniedStatus';
    if (value === undefined || isPerRequest || choices.includes(value)) continue;
    faults.push(`${name}: is not one of ${choices.join(', ')}. Choose one of these.`);
  }
  const { key, amount, org, scope, idempotencyKey, billing } = options as Readonly<Record<string, unknown>>;
  checkEngine(billing, faults);
  if (idempotencyKey !== undefined && typeof idempotencyKey !== 'function')
    faults.push(
      'idempotencyKey: is no function of the request. All requests would share one key: give a function.',
    );
  if (typeof amount !== 'function') checkAmount('amount', amount, faults);
  for (const [name, value] of Object.entries({ org, scope })) {
    const isText = typeof value === 'string' && value !== '';
    if (value !== undefined && typeof value !== 'function' && !isText)
      faults.push(`${name}: is no text. Give one, or a function of the request.`);
  }
  // Only `requireQuota` takes several keys, or a function of the request.
  const isCharged = guard === 'requireQuota';
  if (isCharged && Array.isArray(key) && key.length > 0) {
    for (const one of key) {
      checkKey(isSpelledOut(one) ? one.key : one, faults);
      if (isSpelledOut(one)) checkCharge(one, faults);
    }
  } else if (!isCharged || typeof key !== 'function') checkKey(key, faults);
  refuse(guard, faults);
}

/** @throws TollgateError `invalid_configuration` for what is no object, such as a handler in place of the options: it would be ignored. */
export function checkIsOptions(guard: string, given: unknown): void {
  if (given == null || (typeof given === 'object' && !Array.isArray(given))) return;
  refuse(guard, ['options: are no object. Give one, or leave it out.']);
}

function checkEngine(billing: unknown, faults: string[]): void {
  if (billing !== undefined && !isBilling(billing))
    faults.push('billing: is no engine. Give what createBilling returned.');
}

function checkKey(key: unknown, faults: string[]): void {
  if (typeof key !== 'string' || key === '') faults.push("key: is no quota key. Name one of the engine's.");
}

function isSpelledOut(charge: unknown): charge is KeyCharge {
  return typeof charge === 'object' && charge !== null;
}

function checkCharge(charge: KeyCharge, faults: string[]): void {
  const ofKey = ` of ${charge.key}`;
  for (const name of Object.keys(charge)) {
    if (!Object.hasOwn(CHARGE_NAMES, name))
      faults.push(`${name}${ofKey}: is not an option. Correct its spelling or leave it out.`);
  }
  checkAmount(`amount${ofKey}`, charge.amount, faults);
}

/** Without this check, every request would be refused for an amount that is fixed in the host's code. */
function checkAmount(name: string, amount: unknown, faults: string[]): void {
  if (amount === undefined || (Number.isSafeInteger(amount) && Number(amount) >= 1)) return;
  faults.push(`${name}: is no whole number from 1 to ${Number.MAX_SAFE_INTEGER}. Give one.`);
}

/** @throws TollgateError `invalid_configuration` for a misspelt option of `friction`, or a wrong value. */
export function checkFrictionOptions(key: unknown, options: object): void {
  const faults: string[] = [];
  checkKey(key, faults);
  checkNamesOf(options, FRICTION_NAMES, '', faults);
  const { maxDelayMs = 0, isExempt, billing } = options as Readonly<Record<string, unknown>>;
  checkEngine(billing, faults);
  const isDelay = typeof maxDelayMs === 'number' && Number.isFinite(maxDelayMs) && maxDelayMs >= 0;
  if (!isDelay && typeof maxDelayMs !== 'function')
    faults.push('maxDelayMs: is not a number from 0. Give one in ms, or a function of the request.');
  if (!['undefined', 'boolean', 'function'].includes(typeof isExempt))
    faults.push('isExempt: is neither true nor false. Give one of these, or a function of the request.');
  refuse('friction', faults);
}

function refuse(guard: string, faults: readonly string[]): void {
  if (faults.length === 0) return;
  const list = faults.map((fault) => `  - ${fault}`).join('\n');
  throw new TollgateError('invalid_configuration', {
    message: `The options of ${guard} have faults:\n${list}`,
  });
}
