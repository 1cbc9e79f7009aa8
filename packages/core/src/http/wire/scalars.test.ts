import fc from 'fast-check';
import { expect, test } from 'vitest';
import { fromInstant, toInstant } from './scalars.ts';

test.each([
  ['2026-04-09T12:00:00Z', Date.UTC(2026, 3, 9, 12)],
  ['2026-04-09t12:00:00z', Date.UTC(2026, 3, 9, 12)],
  ['2026-04-09T12:00:00.250Z', Date.UTC(2026, 3, 9, 12, 0, 0, 250)],
  ['2026-04-09T12:00:00.123456789Z', Date.UTC(2026, 3, 9, 12, 0, 0, 123)],
  ['2026-04-09T12:00:00+02:00', Date.UTC(2026, 3, 9, 10)],
  ['2026-04-09T00:30:00-23:59', Date.UTC(2026, 3, 10, 0, 29)],
  ['2024-02-29T00:00:00Z', Date.UTC(2024, 1, 29)],
])('%s is an instant', (text, at) => {
  expect(fromInstant(text)).toBe(at);
});

test.each([
  '2026-04-09',
  '2026-04-09T12:00Z',
  '2026-04-09 12:00:00Z',
  '2026-04-09T12:00:00',
  '2026-02-30T12:00:00Z',
  '2025-02-29T12:00:00Z',
  '2026-13-01T12:00:00Z',
  '2026-04-09T24:00:00Z',
  '2026-04-09T12:60:00Z',
  '2026-04-09T12:00:00+24:00',
  '+002026-04-09T12:00:00Z',
  '1775736000000',
  'tomorrow',
  ' 2026-04-09T12:00:00Z',
  '2026-04-09T12:00:00Z\n',
  '',
])('T22: %j is no instant', (text) => {
  expect(fromInstant(text)).toBeNull();
});

test('an instant that was written is read as itself', () => {
  const at = fc.date({ min: new Date('0001-01-01'), max: new Date('9999-12-31'), noInvalidDate: true });
  const written = fc.property(at, (date) => {
    expect(fromInstant(toInstant(date.getTime()))).toBe(date.getTime());
  });
  fc.assert(written);
});
