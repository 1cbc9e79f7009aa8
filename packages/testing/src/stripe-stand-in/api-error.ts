/** A response in the shape of Stripe's API errors. */
export class ApiError extends Error {
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;

  constructor(
    status: number,
    error: {
      readonly type: 'invalid_request_error' | 'card_error' | 'api_error' | 'idempotency_error';
      readonly message: string;
      readonly code?: string;
      readonly param?: string;
      readonly decline_code?: string;
    },
  ) {
    super(error.message);
    this.status = status;
    this.body = { error };
  }
}

/** A parameter that is missing, unknown or of the wrong kind: 400, in Stripe's wording. */
export function invalidParameter(param: string, message: string, code?: string): ApiError {
  return new ApiError(400, {
    type: 'invalid_request_error',
    message,
    param,
    ...(code === undefined ? {} : { code }),
  });
}

/** A request that the current state does not allow: 400. */
export function refused(message: string, code?: string): ApiError {
  return new ApiError(400, {
    type: 'invalid_request_error',
    message,
    ...(code === undefined ? {} : { code }),
  });
}

/** An unknown id: 404 `resource_missing`, or 400 if the id came as a parameter. */
export function missing(what: string, id: string, param = 'id'): ApiError {
  return new ApiError(param === 'id' ? 404 : 400, {
    type: 'invalid_request_error',
    code: 'resource_missing',
    message: `No such ${what}: '${id}'`,
    param,
  });
}

export function cardDeclined(): ApiError {
  return new ApiError(402, {
    type: 'card_error',
    code: 'card_declined',
    decline_code: 'generic_decline',
    message: 'Your card was declined.',
  });
}
