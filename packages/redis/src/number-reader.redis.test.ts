import { expect, it } from 'vitest';
import { NumberReader } from './number-reader.ts';

const read = (...bytes: readonly number[]) => new NumberReader(Buffer.from(bytes)).next();

it.each([
  ['the largest of one byte', [0x7f], 127],
  ['the smallest of one byte', [0xe0], -32],
  ['8 bits', [0xcc, 0xff], 255],
  ['16 bits', [0xcd, 0xff, 0xfe], 65_534],
  ['32 bits', [0xce, 0xff, 0xff, 0xff, 0xfe], 2 ** 32 - 2],
  ['64 bits', [0xcf, 0, 0x1f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], Number.MAX_SAFE_INTEGER],
  ['8 bits below zero', [0xd0, 0xdf], -33],
  ['16 bits below zero', [0xd1, 0xff, 0x7f], -129],
  ['32 bits below zero', [0xd2, 0x80, 0, 0, 0], -(2 ** 31)],
  ['64 bits below zero', [0xd3, 0xff, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff], -(2 ** 31) - 1],
  ['signed ones above zero', [0xd3, 0, 0, 0, 1, 0, 0, 0, 2], 2 ** 32 + 2],
])('reads %s', (_what, bytes, number) => {
  expect(read(...bytes)).toBe(number);
});

it('reads one after the other from where it is to begin', () => {
  const numbers = new NumberReader(Buffer.from([0x92, 0xcd, 1, 2, 3]), 1);
  expect([numbers.next(), numbers.next()]).toEqual([258, 3]);
});

it('refuses a reply that ends early, and what is no whole number', () => {
  expect(() => read()).toThrow(RangeError);
  expect(() => read(0xce, 1, 2, 3)).toThrow(RangeError);
  expect(() => read(0xcb, 0, 0, 0, 0, 0, 0, 0, 0)).toThrow(RangeError);
});
