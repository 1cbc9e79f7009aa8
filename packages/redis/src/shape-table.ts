import type { Charge } from '@tollgate/core';
import { PLACE } from './protocol.ts';

/** What is the same for all reservations with equal charges. */
export interface Shape {
  /** As it is sent: the core and the charges with their limits. */
  readonly text: string;
  /** The windows charged, each once. */
  readonly windows: readonly string[];
}

const LIFETIME: readonly string[] = ['lifetime'];
/** Most apps have few: a key, its amount and the limit of a tier. */
const MOST_SHAPES = 1_000;
const shapes = new Map<string, Shape>();

/** The shape of charges; equal charges have the very same one, until there are too many to keep. */
export function shapeOf(charges: readonly Charge[]): Shape {
  let name = '';
  for (const { key, window, amount, limit, onUnknown, forgetAt } of charges) {
    name += `${key}\n${window}\n${amount}\n${limit}\n${onUnknown}\n${forgetAt}\n`;
  }
  const known = shapes.get(name);
  if (known) return known;
  const shape = makeShape(charges);
  if (shapes.size >= MOST_SHAPES) shapes.clear();
  shapes.set(name, shape);
  return shape;
}

function makeShape(charges: readonly Charge[]): Shape {
  const core = JSON.stringify(
    charges.map(({ window, key, amount, onUnknown }) => [window, key, amount, PLACE[onUnknown]]),
  );
  const rows = charges.map(({ window, key, amount, onUnknown, limit, forgetAt }) => [
    window,
    key,
    amount,
    PLACE[onUnknown],
    limit ?? Number.MAX_SAFE_INTEGER,
    forgetAt ?? false,
  ]);
  return { text: JSON.stringify([core, ...rows]), windows: windowsOf(charges) };
}

const terms = new Map<string, Shape>();

/** How reservations are made, in the form of a shape. */
export function termsOf(leaseMs: number, maxHeld: number, rememberMs: number): Shape {
  const text = `[${leaseMs},${maxHeld},${rememberMs}]`;
  const known = terms.get(text);
  if (known) return known;
  const made = { text, windows: [] };
  if (terms.size >= MOST_SHAPES) terms.clear();
  terms.set(text, made);
  return made;
}

export function windowsOf(refs: readonly { readonly window: string }[]): readonly string[] {
  if (refs.every(({ window }) => window === 'lifetime')) return LIFETIME;
  return [...new Set(refs.map(({ window }) => window))];
}

/** The shapes of one batch: each is sent once, operations name it by number. */
export interface ShapeTable {
  /** 1 for the first. */
  indexOf(shape: Shape): number;
  /** As JSON. */
  toText(): string;
}

export function shapeTable(): ShapeTable {
  const indexes = new Map<Shape, number>();
  return {
    indexOf(shape) {
      let index = indexes.get(shape);
      if (index === undefined) {
        index = indexes.size + 1;
        indexes.set(shape, index);
      }
      return index;
    },
    toText: () => `[${[...indexes.keys()].map(({ text }) => text).join()}]`,
  };
}
