import { expect, test } from 'vitest';
import type { ErrorCode } from '../errors/codes.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import { deniedReply, errorReply, jsonReply } from './reply.ts';

const retryAfter = (code: ErrorCode, options: { readonly retryAfterSeconds?: number } = {}) =>
  errorReply(new TollgateError(code, options), 'id').headers['Retry-After'];

test.each(['quota_unavailable', 'repository_unavailable', 'provider_busy', 'event_in_progress'] as const)(
  '%s names a second to wait, or as many as the error does',
  (code) => {
    expect(retryAfter(code)).toBe('1');
    expect(retryAfter(code, { retryAfterSeconds: 7 })).toBe('7');
  },
);

test('a part of a second to wait is a whole one, and where waiting does not help none is named', () => {
  expect(retryAfter('quota_unavailable', { retryAfterSeconds: 1.2 })).toBe('2');
  for (const code of ['provider_timeout', 'provider_error', 'internal_error', 'invalid_request'] as const)
    expect(retryAfter(code)).toBeUndefined();
});

test('who lets us wait for a body keeps no connection', () => {
  expect(errorReply(new TollgateError('body_timeout'), 'id').headers.Connection).toBe('close');
  expect(errorReply(new TollgateError('body_too_large'), 'id').headers).not.toHaveProperty('Connection');
});

test('an answer is as long as its bytes, and nothing is said of an error that is nobody’s', () => {
  expect(jsonReply(200, { name: 'Größe' }, 'id', {}).headers['Content-Length']).toBe('18');
  const { status, body } = errorReply(new Error('secret'), 'id');
  expect([status, JSON.parse(body)]).toMatchObject([500, { error_code: 'internal_error' }]);
  expect(body).not.toContain('secret');
});

test('a refusal names each full quota once', () => {
  const messageOf = (...keys: string[]) =>
    JSON.parse(deniedReply({ status: 429, keys, requestId: 'id', headers: {} }).body).message;
  expect(messageOf('door_opens', 'door_opens')).toBe('The quota door_opens is used up.');
  expect(messageOf('devices', 'zones')).toBe('The quotas devices, zones are used up.');
  expect(messageOf()).toBe('The quota is used up.');
});
