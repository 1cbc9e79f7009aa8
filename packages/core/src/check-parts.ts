import type { BillingOptions } from './options.ts';

/** The methods that a given part must have; of a repository those without which nothing at all works. */
const METHODS = {
  counters: ['reserve', 'settle', 'renew', 'adjust', 'read', 'beginRecount', 'finishRecount', 'close'],
  repository: ['loadOrg', 'close'],
  clock: ['now'],
  ids: ['next'],
  logger: ['debug', 'info', 'warn', 'error'],
  telemetry: ['count'],
} as const satisfies { readonly [P in keyof BillingOptions]?: readonly string[] };

/** Checks the parts a host may bring that their methods are there; each fault is added to `faults`, with its cure. */
export function checkParts(options: BillingOptions, faults: string[]): void {
  for (const [part, methods] of Object.entries(METHODS)) {
    const given: unknown = options[part as keyof typeof METHODS];
    if (given === undefined) continue;
    const lacking = methods.filter((method) => typeof Object(given)[method] !== 'function');
    if (lacking.length > 0) {
      faults.push(
        `${part}: lacks ${lacking.join(', ')}. Implement it whole, or leave it out for the default.`,
      );
    }
  }
  if (options.org !== undefined && typeof options.org !== 'function') {
    faults.push(
      'org: is not a function. Pass one that finds the org of a request, or say `org` in every guard.',
    );
  }
}
