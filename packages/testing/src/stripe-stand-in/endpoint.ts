import type { Books } from './books.ts';
import type { Dunning } from './invoices.ts';
import type { StripeObject } from './objects.ts';
import { type Checked, type Checks, listOf, oneOf, shape, text, whole } from './parameters.ts';

/** What an endpoint returns: an object, or a list of objects to paginate (already filtered, newest first). */
export type Answer = StripeObject | { readonly list: readonly StripeObject[]; readonly url: string };

export interface EndpointContext<S extends Checks> {
  readonly books: Books;
  readonly dunning: Dunning;
  /** The id in the path; empty if there is none. */
  readonly id: string;
  readonly params: Checked<S>;
}

/** One API operation as data. */
export interface Endpoint {
  readonly method: 'GET' | 'POST' | 'DELETE';
  /** `:id` matches one segment. */
  readonly path: string;
  readonly checks: Checks;
  readonly run: (context: EndpointContext<Checks>) => Answer;
}

/** The parameters that every endpoint accepts. */
const COMMON = { expand: listOf(text) } as const;

/** The parameters that every list accepts. */
export const PAGED = { limit: whole, starting_after: text, ending_before: text } as const;

/** A filter by time: an instant or a range. */
export const instantFilter = (value: Parameters<typeof whole>[0], path: string) =>
  typeof value === 'string'
    ? { gte: whole(value, path), lte: whole(value, path) }
    : shape({ gt: whole, gte: whole, lt: whole, lte: whole })(value, path);

export function endpoint<S extends Checks>(
  method: Endpoint['method'],
  path: string,
  checks: S,
  run: (context: EndpointContext<S>) => Answer,
): Endpoint {
  return { method, path, checks: { ...COMMON, ...checks }, run: run as Endpoint['run'] };
}

export const PRORATION = oneOf('create_prorations', 'always_invoice', 'none');

export function within(at: number, filter: ReturnType<typeof instantFilter> | undefined): boolean {
  if (filter === undefined) return true;
  const { gt, gte, lt, lte } = filter as { gt?: number; gte?: number; lt?: number; lte?: number };
  return (
    (gt === undefined || at > gt) &&
    (gte === undefined || at >= gte) &&
    (lt === undefined || at < lt) &&
    (lte === undefined || at <= lte)
  );
}
