import { expect, test } from 'vitest';
import type { QuotaState } from '../quota/types.ts';
import { rateLimitHeaders } from './rate-limit-headers.ts';

const NOW = Date.UTC(2026, 3, 9, 12);
const DAY = { label: 'day:2026-04-09', startsAt: Date.UTC(2026, 3, 9), endsAt: Date.UTC(2026, 3, 10) };
const MONTH = { label: 'month:2026-04', startsAt: Date.UTC(2026, 3, 1), endsAt: Date.UTC(2026, 4, 1) };
const LIFETIME = { label: 'lifetime', startsAt: null, endsAt: null };

function quota(over: Partial<QuotaState> & { value?: number | null } = {}): QuotaState {
  const { value = 10, ...rest } = over;
  return {
    key: 'devices',
    period: 'lifetime',
    unit: 'count',
    window: LIFETIME,
    limit: { value, source: { kind: 'default' } },
    remaining: value === null ? null : 3,
    ...rest,
  };
}

const byDay = quota({ key: 'door_opens', period: 'day', window: DAY, value: 20 });
const byMonth = quota({ key: 'door_opens', period: 'month', window: MONTH, value: 200 });

test('each window is a quoted policy with its quota, its length in seconds, what is left and when it refills', () => {
  expect(rateLimitHeaders([quota(), byDay, byMonth], [], NOW, '/up')).toEqual({
    'RateLimit-Policy': '"devices";q=10, "door_opens:day";q=20;w=86400, "door_opens:month";q=200;w=2592000',
    RateLimit: '"devices";r=3, "door_opens:day";r=3;t=43200, "door_opens:month";r=3;t=1857600',
  });
});

test('unlimited quotas are left out, and without any other there are no headers', () => {
  expect(rateLimitHeaders([quota({ value: null })], [], NOW, null)).toEqual({});
  expect(rateLimitHeaders([quota({ value: null }), quota()], [], NOW, null)['RateLimit-Policy']).toBe(
    '"devices";q=10',
  );
});

test('a denial of rows that exist links to the upgrade and names no time to wait', () => {
  const headers = rateLimitHeaders([quota()], [quota()], NOW, '/api/v1/orgs/acme/billing/upgrade-options');
  expect(headers.Link).toBe('</api/v1/orgs/acme/billing/upgrade-options>; rel="upgrade"');
  expect(headers).not.toHaveProperty('Retry-After');
});

test('a denial of windows that refill names the last of their ends', () => {
  expect(rateLimitHeaders([byDay, byMonth], [byDay], NOW, null)['Retry-After']).toBe('43200');
  expect(rateLimitHeaders([byDay, byMonth], [byDay, byMonth], NOW, null)['Retry-After']).toBe('1857600');
});

test('a denial by a window that never refills names no time, whatever else was full', () => {
  expect(rateLimitHeaders([quota(), byDay], [quota(), byDay], NOW, null)).not.toHaveProperty('Retry-After');
});

test('a window that just ended still gives a second to wait, never zero', () => {
  expect(rateLimitHeaders([byDay], [byDay], DAY.endsAt, null)['Retry-After']).toBe('1');
});

test('numbers stay within what a structured field can hold', () => {
  const headers = rateLimitHeaders(
    [quota({ value: Number.MAX_SAFE_INTEGER, remaining: Number.MAX_SAFE_INTEGER })],
    [],
    NOW,
    null,
  );
  expect(headers['RateLimit-Policy']).toBe('"devices";q=999999999999999');
  expect(headers.RateLimit).toBe('"devices";r=999999999999999');
});

test('T30: neither a key nor a link can end its own quotes', () => {
  const odd = quota({ key: 'a"b\\c\r\nX: y' });
  const headers = rateLimitHeaders([odd], [odd], NOW, '/a>; rel="x",<b\r\n\u00fc');
  expect(headers['RateLimit-Policy']).toBe('"a\\"b\\\\cX: y";q=10');
  expect(headers.Link).toBe('</a%3E;%20rel=%22x%22,%3Cb%0D%0A%C3%BC>; rel="upgrade"');
});

test('what is told of a window follows its clock, its limit and its turn, and part of a second is a whole one', () => {
  const at = (now: number, over: Partial<QuotaState> = {}) =>
    rateLimitHeaders([{ ...byDay, ...over }], [byDay], now, null);
  expect(at(NOW).RateLimit).toBe('"door_opens:day";r=3;t=43200');
  const wide = { ...DAY, startsAt: DAY.startsAt - 86_400_000 };
  expect(at(NOW, { window: wide })['RateLimit-Policy']).toBe('"door_opens:day";q=20;w=172800');
  expect(at(NOW + 1).RateLimit).toBe('"door_opens:day";r=3;t=43200');
  expect(at(NOW + 1)['Retry-After']).toBe('43200');
  expect(at(NOW + 1_000).RateLimit).toBe('"door_opens:day";r=3;t=43199');
  expect(at(NOW, { limit: { ...byDay.limit, value: 30 } })['RateLimit-Policy']).toBe(
    '"door_opens:day";q=30;w=86400',
  );
  const next = { ...DAY, startsAt: DAY.endsAt, endsAt: DAY.endsAt + 86_400_000 };
  expect(at(NOW + 86_400_000, { window: next }).RateLimit).toBe('"door_opens:day";r=3;t=43200');
});

test('a key of a session and of a lifetime, alike in all else, keep their own names', () => {
  const names = [quota(), quota({ period: 'per_session' })].map(
    (one) => rateLimitHeaders([one], [], NOW, null)['RateLimit-Policy'],
  );
  expect(names).toEqual(['"devices";q=10', '"devices:per_session";q=10']);
});

test('a denied window whose limit is 0 names no time to wait: it refills to nothing', () => {
  const none = quota({ key: 'door_opens', period: 'day', window: DAY, value: 0, remaining: 0 });
  for (const denied of [[none], [none, byDay], [byDay, none]])
    expect(rateLimitHeaders([none], denied, NOW, null)).not.toHaveProperty('Retry-After');
});

test('of more quotas than are remembered each keeps its own numbers', () => {
  const many = Array.from({ length: 40 }, (_, i) => quota({ key: `key_${i}`, value: i + 1 }));
  const policies = () => many.map((one) => rateLimitHeaders([one], [], NOW, null)['RateLimit-Policy']);
  const expected = many.map((_, i) => `"key_${i}";q=${i + 1}`);
  expect(policies()).toEqual(expected);
  expect(policies()).toEqual(expected);
});
