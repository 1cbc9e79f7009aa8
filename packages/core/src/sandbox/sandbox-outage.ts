import { TollgateError } from '../errors/tollgate-error.ts';

/**
 * How calls fail: `error`, `busy` and `timeout` before anything is done; `lost_reply` after it was done, so that the caller cannot
 * tell whether it was.
 */
export type SandboxOutage = 'error' | 'busy' | 'timeout' | 'lost_reply';

/** Fails calls on demand. */
export function createSandboxOutage(): {
  readonly set: (outage: SandboxOutage | null) => void;
  readonly pass: <T>(call: () => Promise<T>) => Promise<T>;
} {
  let now: SandboxOutage | null = null;
  return {
    set: (outage) => {
      now = outage;
    },
    pass: async (call) => {
      if (now === 'error') throw new TollgateError('provider_error');
      if (now === 'busy') throw new TollgateError('provider_busy', { retryAfterSeconds: 1 });
      if (now === 'timeout') throw new TollgateError('provider_timeout');
      const isLost = now === 'lost_reply';
      const answer = await call();
      if (isLost) throw new TollgateError('provider_timeout');
      return answer;
    },
  };
}
