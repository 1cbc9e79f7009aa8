import { ERROR_CODES, type ErrorCode } from './codes.ts';

// Registered, so that an error made by one installed copy of this package is known to another.
const BRAND = Symbol.for('@tollgate/error');

/** Every error this library throws. `code` is stable, and documented in docs/errors.md of the project's repository; `message` is for people. */
export class TollgateError extends Error {
  override readonly name = 'TollgateError';
  readonly code: ErrorCode;
  /** The HTTP status it is answered with. */
  readonly status: number;
  /** When a repeat may succeed, in whole seconds; undefined when nobody knows, or a repeat alone does not help. */
  readonly retryAfterSeconds: number | undefined;

  readonly [BRAND] = true;

  static override [Symbol.hasInstance](value: unknown): boolean {
    return typeof value === 'object' && value !== null && BRAND in value;
  }

  /**
   * @param options.message - replaces the code's own sentence; goes to the client, so it must not hold a secret or foreign text.
   * @param options.cause - what lies behind; never sent to a client.
   */
  constructor(
    code: ErrorCode,
    options: {
      readonly message?: string;
      readonly cause?: unknown;
      readonly retryAfterSeconds?: number;
    } = {},
  ) {
    super(
      options.message ?? ERROR_CODES[code].message,
      options.cause === undefined ? undefined : { cause: options.cause },
    );
    this.code = code;
    this.status = ERROR_CODES[code].status;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}
