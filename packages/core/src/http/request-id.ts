import type { Ids } from '../ports/clock.ts';
import type { HttpRequest } from '../ports/http-message.ts';

const SANE_TOKEN = /^[A-Za-z0-9._:-]{1,128}$/;

/** By the framework's own request. */
const given = new WeakMap<object, string>();

/** The id a request is known by, the same however often it is asked: its `X-Correlation-Id` if a sane token, else a fresh ULID. */
export function requestIdOf(request: HttpRequest, ids: Ids): string {
  const { native } = request;
  const subject = typeof native === 'object' && native !== null ? native : request;
  const known = given.get(subject);
  if (known !== undefined) return known;
  const wanted = request.header('x-correlation-id');
  const id = wanted !== undefined && SANE_TOKEN.test(wanted) ? wanted : ids.next();
  given.set(subject, id);
  return id;
}
