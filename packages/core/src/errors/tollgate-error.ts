import { ERROR_CODES, type ErrorCode } from './codes.ts';

/** Every error this library throws. `code` is stable and documented in docs/errors.md; `message` is for people. */
export class TollgateError extends Error {
  override readonly name = 'TollgateError';
  readonly code: ErrorCode;
  /** The HTTP status it is answered with. */
  readonly status: number;
  /** When a repeat may succeed, in whole seconds; undefined when a repeat alone does not help. */
  readonly retryAfterSeconds: number | undefined;

  /**
   * @param options.message - replaces the code's own sentence; goes to the client, so it must not hold a secret or foreign text.
   * @param options.cause - what lies behind; never sent to a client.
   */
  constructor(
    code: ErrorCode,
    options: { readonly message?: string; readonly cause?: unknown; readonly retryAfterSeconds?: number } = {},
  ) {
    super(options.message ?? ERROR_CODES[code].message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    this.status = ERROR_CODES[code].status;
    this.retryAfterSeconds = options.retryAfterSeconds;
  }
}
