import { expect, test } from 'vitest';
import type { HttpRequest } from '../ports/http-message.ts';
import { requestIdOf } from './request-id.ts';

const ids = { next: () => '01JZ0000000000000000000000' };

function requestWith(correlationId: string | undefined): HttpRequest {
  const header = (name: string) => (name === 'x-correlation-id' ? correlationId : undefined);
  return { header } as HttpRequest;
}

test.each(['abc', '0af7651916cd43dd8448eb211c80319c', 'a.b:c_d-e', 'x'.repeat(128)])(
  'the token %s is taken over',
  (token) => {
    expect(requestIdOf(requestWith(token), ids)).toBe(token);
  },
);

test.each([undefined, '', 'a b', 'a\r\nX: y', '<b>', 'ü', 'x'.repeat(129), '"'])(
  'in place of %j a fresh id is made',
  (token) => {
    expect(requestIdOf(requestWith(token), ids)).toBe(ids.next());
  },
);

test('a request keeps its id', () => {
  let made = 0;
  const counting = { next: () => `id${++made}` };
  const request = requestWith(undefined);
  expect(requestIdOf(request, counting)).toBe(requestIdOf(request, counting));
});
