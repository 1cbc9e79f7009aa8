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

// From the global registry, so that one installed copy of this package recognises the engine of another.
const ENGINE = Symbol.for('@tollgate/engine');

type Bound = { readonly [ENGINE]?: Engine };

/** Attaches to `billing` the parts of its wiring that routes and guards need. `createBilling` does this once. */
export function bindEngine<B extends Billing>(billing: B, wiring: Omit<Engine, 'billing'>): B {
  const { access, catalog, clock, ids, logger, provider, settings, telemetry } = wiring;
  const engine: Engine = { billing, access, catalog, clock, ids, logger, provider, settings, telemetry };
  Object.defineProperty(billing, ENGINE, { value: engine });
  return billing;
}

/** Whether the object is an engine rather than the options for one. */
export function isBilling(value: unknown): value is Billing {
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
