/**
 * Every error code, with its HTTP status and the message that callers read.
 * docs/errors.md of the project's repository explains each one, and is checked against this table.
 */
export const ERROR_CODES = {
  // The caller's fault
  unauthorized: { status: 401, message: 'Sign in to use this operation.' },
  forbidden: { status: 403, message: 'You may not use this operation.' },
  not_found: { status: 404, message: 'There is nothing here.' },
  method_not_allowed: { status: 405, message: 'This operation does not take that method.' },
  invalid_request: { status: 400, message: 'The request is not valid.' },
  unknown_field: { status: 400, message: 'The request body has a field this operation does not know.' },
  invalid_org_id: { status: 400, message: 'The org id is not valid.' },
  invalid_amount: { status: 400, message: 'The amount must be a whole number from 1 to 9007199254740991.' },
  unknown_tier: { status: 400, message: 'There is no such plan to choose.' },
  unknown_quota_key: { status: 400, message: 'There is no such quota key.' },
  unknown_period: { status: 400, message: 'The quota key has no such period.' },
  unknown_subject_type: { status: 400, message: 'Overrides do not know that subject type.' },
  invalid_limit: {
    status: 400,
    message: 'The limit must be a whole number from 0 to 9007199254740991, or -1 for unlimited.',
  },
  invalid_return_url: { status: 400, message: 'The return address is not an allowed one.' },
  unknown_provider: { status: 404, message: 'There is no such payment provider.' },
  invalid_signature: { status: 400, message: 'The signature does not match.' },
  invalid_event: { status: 400, message: 'The body is not an event.' },
  resource_not_found: { status: 404, message: 'There is no such resource.' },
  keep_limit_reached: { status: 409, message: 'No more of these resources can be kept within the limit.' },
  checkout_in_progress: {
    status: 409,
    message: 'Another checkout for this org is being started. Try again in a moment.',
  },
  customer_conflict: { status: 409, message: 'The org already has another customer.' },
  reservation_conflict: { status: 409, message: 'The idempotency key was used with other parameters.' },
  request_in_progress: { status: 409, message: 'A request with this idempotency key is still running.' },
  body_too_large: { status: 413, message: 'The request body is too large.' },
  body_timeout: { status: 408, message: 'The request body did not arrive in time.' },
  unsupported_encoding: { status: 415, message: 'Compressed request bodies are not accepted.' },
  unsupported_media_type: { status: 415, message: 'Send the body as application/json.' },
  cross_site_request: { status: 403, message: 'Requests from other sites are not accepted.' },
  // Over a limit
  quota_exceeded: { status: 429, message: 'The quota is used up.' },
  too_many_pending: { status: 429, message: 'Too many requests of this org are running at once.' },
  // Our fault, or that of a service behind us
  quota_unavailable: { status: 503, message: 'Quotas cannot be checked at the moment. Try again shortly.' },
  reservation_lapsed: {
    status: 503,
    message: 'The units were held for too long and were given back. Try again.',
  },
  repository_unavailable: {
    status: 503,
    message: 'Billing data cannot be reached at the moment. Try again shortly.',
  },
  provider_busy: { status: 503, message: 'The payment provider is busy. Try again shortly.' },
  provider_error: { status: 502, message: 'The payment provider could not do this.' },
  provider_timeout: { status: 504, message: 'The payment provider did not answer in time.' },
  provider_not_configured: { status: 503, message: 'The payment provider is not configured.' },
  portal_unsupported: { status: 501, message: 'The payment provider has no customer portal.' },
  event_in_progress: { status: 503, message: 'This event is being processed. Deliver it again.' },
  raw_body_unavailable: { status: 500, message: 'The raw request body is needed and a body parser took it.' },
  invalid_configuration: { status: 500, message: 'The billing configuration is not valid.' },
  internal_error: { status: 500, message: 'Something went wrong.' },
} as const satisfies Record<string, { status: number; message: string }>;

export type ErrorCode = keyof typeof ERROR_CODES;
