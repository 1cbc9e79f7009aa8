import type { Charge } from '@tollgate/core';
import { PLACE } from './protocol.ts';

/** What all reservations with equal charges have in common. */
export interface Shape {
  /** As it is sent: the core and the charges with their limits. */
  readonly text: string;
  /** The windows charged, each once. */
  readonly windows: readonly string[];
}

/** What a reserve asks beside its id and charges. */
export interface Terms {
  /** As it is sent: `[leaseMs, maxHeld, rememberMs]`. */
  readonly text: string;
  readonly leaseMs: number;
  readonly maxHeld: number;
  readonly rememberMs: number;
}

const LIFETIME: readonly string[] = ['lifetime'];
/** Bounds memory. Most apps have few shapes: a key, its amount and the limit of a tier. */
const MOST = 1_000;

const shapes = new Map<string, Shape>();
/** By identity: an engine passes the same frozen lists again and again, and they need not be read each time. */
const known = new Map<readonly Charge[], Shape>();
let last: { readonly charges: readonly Charge[]; readonly shape: Shape } | undefined;

/** The shape of charges. Equal charges have the very same one, until there are too many to keep. */
export function shapeOf(charges: readonly Charge[]): Shape {
  if (charges === last?.charges) return last.shape;
  let shape = known.get(charges);
  if (shape === undefined) {
    const name = nameOf(charges);
    shape = shapes.get(name) ?? makeShape(charges);
    if (shapes.size >= MOST) shapes.clear();
    shapes.set(name, shape);
    if (!Object.isFrozen(charges) || !charges.every(Object.isFrozen)) return shape;
    if (known.size >= MOST) known.clear();
    known.set(charges, shape);
  }
  last = { charges, shape };
  return shape;
}

function nameOf(charges: readonly Charge[]): string {
  return JSON.stringify(
    charges.map(({ key, window, amount, limit, onUnknown, forgetAt }) => [
      key,
      window,
      amount,
      limit,
      onUnknown,
      forgetAt,
    ]),
  );
}

function makeShape(charges: readonly Charge[]): Shape {
  const kept = charges.map(({ window, key, amount, onUnknown, limit }) => [
    window,
    key,
    amount,
    PLACE[onUnknown],
    limit ?? Number.MAX_SAFE_INTEGER,
  ]);
  const core = JSON.stringify(kept);
  const rows = kept.map((row, index) => [...row, charges[index]?.forgetAt ?? false]);
  return { text: JSON.stringify([core, ...rows]), windows: windowsOf(charges) };
}

/** An engine has two: with and without idempotency keys. */
const terms: Terms[] = [];

export function termsOf(leaseMs: number, maxHeld: number, rememberMs: number): Terms {
  for (const one of terms) {
    if (one.leaseMs === leaseMs && one.maxHeld === maxHeld && one.rememberMs === rememberMs) return one;
  }
  const made = { text: `[${leaseMs},${maxHeld},${rememberMs}]`, leaseMs, maxHeld, rememberMs };
  if (terms.length >= MOST_TERMS) terms.length = 0;
  terms.push(made);
  return made;
}

const MOST_TERMS = 16;

export function windowsOf(refs: readonly { readonly window: string }[]): readonly string[] {
  if (refs.every(({ window }) => window === 'lifetime')) return LIFETIME;
  return [...new Set(refs.map(({ window }) => window))];
}
