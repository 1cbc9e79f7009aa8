import type { ApiRequest, ApiResponse } from './api.ts';

/** How a call fails. */
export type StandInFault =
  /**
   * Answered with the status, nothing done. With `isRemembered` the response is stored for the request's idempotency key and replayed,
   * as Stripe does with a failure of its own.
   */
  | { readonly status: number; readonly retryAfterSeconds?: number; readonly isRemembered?: boolean }
  /** Never answered, nothing done. */
  | { readonly timeout: true }
  /** Done, but never answered. */
  | { readonly lostReply: true }
  /** Answered with a body that is not JSON, nothing done. */
  | { readonly garbage: true };

/** Which calls a fault applies to. */
export interface FaultFilter {
  /** The number of calls. @default 1 */
  readonly times?: number;
  /** @default every call */
  readonly when?: (request: Pick<ApiRequest, 'method' | 'path'>) => boolean;
}

/** Makes calls fail on demand. */
export interface Faults {
  failNext(fault: StandInFault, filter?: FaultFilter): void;
  /** Makes every call fail from now on; null ends that, and discards all pending faults. */
  failAll(fault: StandInFault | null): void;
  /** Consumes the fault due for a request, if any. */
  take(request: ApiRequest): StandInFault | null;
}

export function createFaults(): Faults {
  let all: StandInFault | null = null;
  let next: {
    readonly fault: StandInFault;
    left: number;
    readonly when: NonNullable<FaultFilter['when']>;
  }[] = [];
  return {
    failNext(fault, { times = 1, when = () => true } = {}) {
      next.push({ fault, left: times, when });
    },
    failAll(fault) {
      all = fault;
      if (fault === null) next = [];
    },
    take(request) {
      const planned = next.find(({ left, when }) => left > 0 && when(request));
      if (planned !== undefined) {
        planned.left -= 1;
        return planned.fault;
      }
      return all;
    },
  };
}

/** The response under a fault; null if there never is one. `work` carries out the request. */
export function faultAnswer(fault: StandInFault, work: () => ApiResponse): ApiResponse | null {
  if ('timeout' in fault) return null;
  if ('lostReply' in fault) {
    work();
    return null;
  }
  if ('garbage' in fault)
    return { status: 200, headers: { 'content-type': 'text/html' }, body: '<h1>Oops</h1>' };
  const { status, retryAfterSeconds } = fault;
  const type = status === 429 ? 'invalid_request_error' : 'api_error';
  const error = {
    type,
    message: `This failure was asked for, sk_test_in_a_message_0123456789.`,
    ...(status === 429 ? { code: 'rate_limit' } : {}),
  };
  return {
    status,
    headers: {
      'content-type': 'application/json',
      ...(retryAfterSeconds === undefined ? {} : { 'retry-after': String(retryAfterSeconds) }),
    },
    body: JSON.stringify({ error }),
  };
}
