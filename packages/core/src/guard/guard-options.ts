import type { Billing } from '../billing-interface.ts';
import type { KeyCharge, OnStoreError } from '../quota/types.ts';

/** A value, or a function of the framework's request (Express' `req`, Koa's `ctx`) that returns it. */
export type PerRequest<R, T> = T | ((request: R) => T | Promise<T>);

/**
 * The host's registered quota keys. Declare them once and a misspelt key no longer compiles anywhere:
 *
 * ```ts
 * declare module '@tollgate/core' { interface Register { quotas: typeof quotas } }
 * ```
 */
// biome-ignore lint/suspicious/noEmptyInterface: it is there to be merged into by the host
export interface Register {}

/** The registered quota keys, or any string while none are registered. */
export type RegisteredKey = Register extends { quotas: infer Q } ? Extract<keyof Q, string> : string;

/** One key, several (all or none), or charges spelled out. */
export type GuardKeys<K extends string> = K | readonly (K | KeyCharge<K>)[];

export interface GuardOptions<R, K extends string = RegisteredKey> {
  /**
   * Units of every key given by name: whole numbers from 1.
   * @default 1
   */
  readonly amount?: PerRequest<R, number>;
  /** Who is charged. @default the engine's `org` option */
  readonly org?: PerRequest<R, string>;
  /** The session that a `per_session` key is counted for. */
  readonly scope?: PerRequest<R, string | undefined>;
  /**
   * The caller's id for this create. A repeat with it takes no second unit, so the handler must recognise repeats too. Undefined: none.
   * @default none
   */
  readonly idempotencyKey?: (request: R) => string | undefined | Promise<string | undefined>;
  /** @default the engine's `onStoreError` */
  readonly onStoreError?: PerRequest<R, OnStoreError>;
  /** What happens to metered units after a 5xx, or when the process dies before they are settled. @default 'release' */
  readonly onFailure?: PerRequest<R, 'release' | 'charge'>;
  /** Status of a refusal. @default the engine's `deniedStatus` */
  readonly deniedStatus?: 429 | 402 | 403;
  /** The engine. @default the one whose `billingRouter` the request passed */
  readonly billing?: Billing<K>;
}

/** Options that name the keys too: `requireQuota({ key: (req) => req.params.kind })`. */
export type KeyedGuardOptions<R, K extends string = RegisteredKey> = GuardOptions<R, K> & {
  readonly key: PerRequest<R, GuardKeys<K>>;
};

export type ReleaseOptions<R, K extends string = RegisteredKey> = Pick<
  GuardOptions<R, K>,
  'amount' | 'org' | 'scope' | 'idempotencyKey' | 'billing'
>;
