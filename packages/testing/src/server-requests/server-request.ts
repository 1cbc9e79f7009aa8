import type { ErrorCode } from '@tollgate/core';
import type { RawRequest } from '../raw-exchange.ts';
import type { PrincipalKey } from '../server-fixture.ts';

/** One request of the contract and the response expected from any framework. */
export interface ServerRequest {
  /** A sentence about the behaviour. */
  readonly name: string;
  /** The request. Its target is relative to the mount point unless it is absolute. */
  readonly request: RawRequest;
  readonly status: number;
  /** The `error_code` of the response. */
  readonly code?: ErrorCode;
  /** Parts of the response's JSON. */
  readonly body?: Readonly<Record<string, unknown>>;
  /** Headers that must be present with this value; null for those that must be absent. */
  readonly headers?: Readonly<Record<string, string | null>>;
  /** Why a JSON parser ahead of the routes may answer this request before they see it. */
  readonly parserMayAnswer?: string;
}

/** The correlation id the contract's requests carry, so that responses can be compared byte by byte. */
export const CORRELATION_ID = 'contract-1';

export const PLAN = '/orgs/acme/billing/plan';
export const CHECKOUT = '/orgs/acme/billing/checkout';
export const OVERRIDES = '/admin/quota_overrides';

/** The headers of every response about an org or to an operator. */
export const PRIVATE_HEADERS = { 'cache-control': 'no-store', 'x-request-id': CORRELATION_ID };

/** A GET request with a key, or with none. */
export function get(target: string, key?: PrincipalKey, headers: Record<string, string> = {}): RawRequest {
  return { method: 'GET', target, headers: { ...headersOf(key), ...headers } };
}

/** A request with a key and a JSON body; a string is sent verbatim. */
export function send(
  method: string,
  target: string,
  key: PrincipalKey | undefined,
  body: unknown,
): RawRequest {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return { method, target, headers: { ...headersOf(key), 'Content-Type': 'application/json' }, body: text };
}

/** The headers that identify the caller. */
export function headersOf(key: PrincipalKey | undefined): Record<string, string> {
  return { 'X-Correlation-Id': CORRELATION_ID, ...(key === undefined ? {} : { 'X-API-Key': key }) };
}
