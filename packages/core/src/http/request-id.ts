import type { Ids } from '../ports/clock.ts';
import type { HttpRequest } from '../ports/http-message.ts';

const SANE_TOKEN = /^[A-Za-z0-9._:-]{1,128}$/;

/** Ids by the framework's own request. */
const assigned = new WeakMap<object, string>();

/** The id of a request, the same at every call: its `X-Correlation-Id` if that is a sane token, else a fresh ULID. */
export function requestIdOf(request: HttpRequest, ids: Ids): string {
  const { native } = request;
  const subject = typeof native === 'object' && native !== null ? native : request;
  const known = assigned.get(subject);
  if (known !== undefined) return known;
  const wanted = request.header('x-correlation-id');
  const id = wanted !== undefined && SANE_TOKEN.test(wanted) ? wanted : ids.next();
  assigned.set(subject, id);
  return id;
}
