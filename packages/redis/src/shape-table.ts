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
const shapes = new WeakMap<readonly Charge[], Shape>();

/** The shape of charges; a reserve and its settle pass the same array, so it is made once for both. */
export function shapeOf(charges: readonly Charge[]): Shape {
  const known = shapes.get(charges);
  if (known) return known;
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
  const shape = { text: JSON.stringify([core, ...rows]), windows: windowsOf(charges) };
  shapes.set(charges, shape);
  return shape;
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
  const indexes = new Map<string, number>();
  return {
    indexOf({ text }) {
      let index = indexes.get(text);
      if (index === undefined) {
        index = indexes.size + 1;
        indexes.set(text, index);
      }
      return index;
    },
    toText: () => `[${[...indexes.keys()].join()}]`,
  };
}
