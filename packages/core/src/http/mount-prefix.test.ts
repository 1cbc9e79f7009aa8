import { expect, test } from 'vitest';
import { mountPrefix } from './mount-prefix.ts';

test.each([
  [undefined, ''],
  ['', ''],
  ['/', ''],
  ['/api/v1', '/api/v1'],
  ['/api/v1.2/', '/api/v1.2'],
])('the prefix %j is %j', (given, prefix) => {
  expect(mountPrefix(given)).toBe(prefix);
});

test.each([
  null,
  1,
  {},
  [],
  ['/api'],
  'api',
  '//',
  '/api//v1',
  '/:tenant',
  '/a*',
  '/a(b)',
  '/..',
  '/a b',
  '/%61',
  '/a?b',
])('the prefix %j is refused at start', (given) => {
  expect(() => mountPrefix(given as string)).toThrow(
    expect.objectContaining({ code: 'invalid_configuration' }),
  );
});
