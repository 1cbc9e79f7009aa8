import type * as z from 'zod';
import type { Billing } from '../billing-interface.ts';
import type { ErrorCode } from '../errors/codes.ts';
import type { Permission } from '../ports/access.ts';
import type { HttpRequest } from '../ports/http-message.ts';
import type { Engine } from './engine.ts';

/** What a route takes as its body: JSON of a closed shape, the raw bytes, or nothing. */
export type RouteBody = z.ZodObject | 'bytes' | null;

type BodyOf<R extends RouteBody> = R extends z.ZodType ? z.output<R> : R extends 'bytes' ? Uint8Array : null;

/** What a handler receives. Everything is checked; of HTTP only the query and headers of `request` are left. */
export interface RouteContext<B> {
  readonly billing: Billing;
  readonly engine: Engine;
  readonly request: HttpRequest;
  /** The org in the path, which matches `orgIdPattern`; empty on routes without one. */
  readonly org: string;
  /** The caller, as returned by the host's `access`; empty on routes that do not call it. */
  readonly actor: string;
  /** The payment provider in the path; empty on routes without one. */
  readonly provider: string;
  readonly body: B;
}

/** A handler's result; the status is always 200. */
export interface RouteAnswer<T> {
  readonly body: T;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface RouteDefinition<R extends RouteBody, S extends z.ZodType> {
  /** The name clients are generated from. */
  readonly operationId: string;
  readonly summary: string;
  readonly method: 'GET' | 'POST' | 'PUT';
  /** The path below the mount point, parameters in braces: `{id}` is the org, `{provider}` the payment provider. */
  readonly path: string;
  /** The permission that `access` must grant; `public` for none, `signature` if the provider's signature proves who calls. */
  readonly access: Permission | 'public' | 'signature';
  readonly query?: readonly {
    readonly name: string;
    readonly description: string;
    readonly schema: z.ZodType;
  }[];
  readonly body: R;
  /** The codes of body fields that have one of their own; all others are `invalid_request`. */
  readonly fieldErrors?: Readonly<Record<string, ErrorCode>>;
  readonly responses: {
    readonly success: S;
    /** Headers that a response may have in addition to the common ones, with their meaning. */
    readonly headers?: Readonly<Record<string, string>>;
    /** The error codes of this operation, in addition to those of every operation of its kind. */
    readonly errors: readonly ErrorCode[];
  };
  handle(context: RouteContext<BodyOf<R>>): RouteAnswer<z.output<S>> | Promise<RouteAnswer<z.output<S>>>;
}

/** One operation as data: adapters register it, the pipeline runs it, the OpenAPI document describes it. */
export interface Route extends Omit<RouteDefinition<RouteBody, z.ZodType>, 'handle'> {
  handle(context: RouteContext<unknown>): RouteAnswer<object> | Promise<RouteAnswer<object>>;
}

/** Declares an operation; its handler's types are inferred from its schemas. */
export function defineRoute<const R extends RouteBody, S extends z.ZodType<object>>(
  definition: RouteDefinition<R, S>,
): Route {
  return definition as Route;
}
