import { TollgateError } from './errors/tollgate-error.ts';
import type { Wiring } from './wiring.ts';

const wirings = new WeakMap<object, Wiring>();

/** Remembers what an engine is made from, for the routes and guards that serve it. */
export function keepWiring(billing: object, wiring: Wiring): void {
  wirings.set(billing, wiring);
}

/**
 * What an engine is made from.
 *
 * @throws TollgateError `invalid_configuration` for an object that `createBilling` did not make
 */
export function wiringOf(billing: object): Wiring {
  const wiring = wirings.get(billing);
  if (wiring === undefined) {
    throw new TollgateError('invalid_configuration', {
      message: 'This is not an engine. Make one with createBilling(options).',
    });
  }
  return wiring;
}
