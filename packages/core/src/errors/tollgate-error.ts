import { ERROR_CODES, type ErrorCode } from './codes.ts';

// From the global registry, so that one installed copy of this package recognises the errors of another.
const BRAND = Symbol.for('@tollgate/error');

/** Every error of this library. `code` is stable and documented in docs/errors.md of the project's repository; `message` is for people. */
export class TollgateError extends Error {
  override readonly name = 'TollgateError';
  readonly code: ErrorCode;
  /** The HTTP status it is answered with. */
  readonly status: number;
  /** When a retry may succeed, in whole seconds; undefined if that is unknown, or a retry alone does not help. */
  readonly retryAfterSeconds: number | undefined;

  readonly [BRAND] = true;

  static override [Symbol.hasInstance](value: unknown): boolean {
    if (typeof value !== 'object' || value === null) return false;
    try {
      return BRAND in value;
    } catch {
      // A revoked proxy, or one whose trap throws: a host may throw anything.
      return false;
    }
  }

  /**
   * @param options.message - replaces the code's own sentence. It is sent to the client: no secrets, no text from elsewhere.
   * @param options.cause - the underlying error; never sent to a client.
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
