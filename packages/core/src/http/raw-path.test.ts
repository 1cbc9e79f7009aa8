import fc from 'fast-check';
import { expect, test } from 'vitest';
import { decodeSegment, matchPath, rawPath, rawQuery } from './raw-path.ts';

const PLAN = '/orgs/{id}/billing/plan';

test.each([
  ['/plans', '/plans', ''],
  ['/plans?a=1&b=?', '/plans', 'a=1&b=?'],
  ['/plans#part?x', '/plans', ''],
  ['/plans?a=1#part', '/plans', 'a=1'],
  ['http://host:80/plans?x', '/plans', 'x'],
  ['//host/plans', '//host/plans', ''],
  ['*', '*', ''],
  ['', '', ''],
  ['http://host', '', ''],
])('the path of the request target %s is %s and its query %s', (target, path, query) => {
  expect(rawPath(target)).toBe(path);
  expect(rawQuery(target)).toBe(query);
});

test('T15: a parameter is read off the end of the path as it was sent, wherever the routes are mounted', () => {
  const match = matchPath(PLAN, '/orgs/x/api/v1/orgs/a%2Fb/billing/plan');
  expect(match?.basePath).toBe('/orgs/x/api/v1');
  expect(match?.params.get('id')).toBe('a%2Fb');
});

test.each([
  '/orgs//billing/plan',
  '/orgs/a/billing/plan/',
  'orgs/a/billing/plan',
  '/orgs/a/billing',
  '/billing/plan',
  '/ORGS/a/billing/plan',
  '',
])('the path %s is not the plan of an org', (path) => {
  expect(matchPath(PLAN, path)).toBeNull();
});

test('every segment comes back as it was put in', () => {
  const segment = fc.string({ minLength: 1 }).map((text) => text.replaceAll('/', '.'));
  fc.assert(
    fc.property(segment, fc.array(segment, { maxLength: 3 }), (id, mount) => {
      const basePath = mount.map((part) => `/${part}`).join('');
      const match = matchPath(PLAN, `${basePath}/orgs/${id}/billing/plan`);
      expect(match?.basePath).toBe(basePath);
      expect(match?.params.get('id')).toBe(id);
    }),
  );
});

test('T15: a segment is decoded once, and not at all when its percent-encoding is broken', () => {
  expect(decodeSegment('a%2Fb')).toBe('a/b');
  expect(decodeSegment('a%252Fb')).toBe('a%2Fb');
  expect(decodeSegment('%zz')).toBeNull();
  expect(decodeSegment('%')).toBeNull();
  expect(decodeSegment('%ff')).toBeNull();
});
