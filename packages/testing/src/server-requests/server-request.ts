import type { ErrorCode } from '@tollgate/core';
import type { RawRequest } from '../raw-exchange.ts';
import type { PrincipalKey } from '../server-fixture.ts';

/** One request of the contract and what must come back, from any framework. */
export interface ServerRequest {
  /** A sentence about the behaviour. */
  readonly name: string;
  /** The request; its target is below the mount point unless it is absolute. */
  readonly request: RawRequest;
  readonly status: number;
  /** The `error_code` of the answer. */
  readonly code?: ErrorCode;
  /** Parts of the answer's JSON. */
  readonly body?: Readonly<Record<string, unknown>>;
  /** Headers that must be there with this value; null for those that must not. */
  readonly headers?: Readonly<Record<string, string | null>>;
  /** Why a JSON parser ahead of the routes may answer this request before they see it. */
  readonly parserMayAnswer?: string;
}

/** The correlation id the contract's requests carry, so that answers can be compared byte by byte. */
export const CORRELATION_ID = 'contract-1';

export const PLAN = '/orgs/acme/billing/plan';
export const CHECKOUT = '/orgs/acme/billing/checkout';
export const OVERRIDES = '/admin/quota_overrides';

/** What every answer about an org or to an operator carries. */
export const PRIVATE_HEADERS = { 'cache-control': 'no-store', 'x-request-id': CORRELATION_ID };

/** A GET as somebody, or as nobody. */
export function get(target: string, key?: PrincipalKey, headers: Record<string, string> = {}): RawRequest {
  return { method: 'GET', target, headers: { ...headersOf(key), ...headers } };
}

/** A JSON body as somebody; text is sent as it is. */
export function send(
  method: string,
  target: string,
  key: PrincipalKey | undefined,
  body: unknown,
): RawRequest {
  const text = typeof body === 'string' ? body : JSON.stringify(body);
  return { method, target, headers: { ...headersOf(key), 'Content-Type': 'application/json' }, body: text };
}

/** The headers that say who calls. */
export function headersOf(key: PrincipalKey | undefined): Record<string, string> {
  return { 'X-Correlation-Id': CORRELATION_ID, ...(key === undefined ? {} : { 'X-API-Key': key }) };
}
