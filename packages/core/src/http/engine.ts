import type { Billing } from '../billing-interface.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { Wiring } from '../wiring.ts';

/** The part of a billing engine that its routes and guards use. */
export interface Engine
  extends Pick<
    Wiring,
    'access' | 'catalog' | 'clock' | 'ids' | 'logger' | 'provider' | 'settings' | 'telemetry'
  > {
  readonly billing: Billing;
}

// Registered, so that an engine made by one installed copy of this package is known to another.
const ENGINE = Symbol.for('@tollgate/engine');

type Bound = { readonly [ENGINE]?: Engine };

/** Makes `billing` carry what routes and guards need to know of its wiring. `createBilling` does this once. */
export function bindEngine<B extends Billing>(billing: B, wiring: Omit<Engine, 'billing'>): B {
  const { access, catalog, clock, ids, logger, provider, settings, telemetry } = wiring;
  const engine: Engine = { billing, access, catalog, clock, ids, logger, provider, settings, telemetry };
  Object.defineProperty(billing, ENGINE, { value: engine });
  return billing;
}

/** Whether the object is an engine, and not the options for one. */
export function isBilling(value: object): value is Billing {
  return (value as Bound | undefined)?.[ENGINE] !== undefined;
}

/**
 * The engine behind what `createBilling` returned.
 *
 * @throws TollgateError `invalid_configuration` for any other object.
 */
export function engineOf(billing: Billing): Engine {
  const engine = (billing as Bound | undefined)?.[ENGINE];
  if (engine === undefined) {
    throw new TollgateError('invalid_configuration', {
      message: 'Pass the object that createBilling answered.',
    });
  }
  return engine;
}
