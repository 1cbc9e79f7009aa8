import type { BillingRepository, PaymentProvider } from '@tollgate/core';

/** Called around every step of the repository's and the provider's, with the step's name. */
export interface Steps {
  readonly before?: (name: string) => void;
  readonly after?: (name: string) => void;
}

/** The ports with every method that is called reported, before it runs and after it has. */
export function watched<T extends BillingRepository | PaymentProvider>(port: T, steps: Steps): T {
  return new Proxy(port, {
    get(target, name) {
      const member: unknown = Reflect.get(target, name);
      if (typeof member !== 'function' || name === 'close' || name === 'sells') return member;
      return async (...args: unknown[]) => {
        steps.before?.(String(name));
        const answer: unknown = await Reflect.apply(member, target, args);
        steps.after?.(String(name));
        return answer;
      };
    },
  });
}
