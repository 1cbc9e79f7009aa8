import { expect, test } from 'vitest';
import { createReservationIds } from './reservation-ids.ts';

test('ids of one engine differ, begin alike, and have twelve characters at most', () => {
  const next = createReservationIds();
  const ids = Array.from({ length: 50_000 }, next);
  expect(new Set(ids).size).toBe(50_000);
  expect(new Set(ids.map((id) => id.slice(0, 8))).size).toBe(1);
  for (const id of ids) expect(id).toMatch(/^[A-Za-z0-9_-]{8}[0-9a-z]{1,4}$/);
});

test('two engines begin differently', () => {
  expect(createReservationIds()().slice(0, 8)).not.toBe(createReservationIds()().slice(0, 8));
});

test('when the count would grow longer, another start is drawn', () => {
  const next = createReservationIds();
  const start = next().slice(0, 8);
  for (let made = 1; made < 36 ** 4 - 1; made += 1) next();
  expect(next()).toBe(`${start}zzzz`);
  const anew = next();
  expect(anew).toMatch(/^.{8}0$/);
  expect(anew.slice(0, 8)).not.toBe(start);
});
