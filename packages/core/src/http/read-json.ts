import type * as z from 'zod';
import type { ErrorCode } from '../errors/codes.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import type { HttpRequest } from '../ports/http-message.ts';

/**
 * Reads a JSON body of a closed shape.
 *
 * @param fieldErrors - the codes of fields that have one of their own.
 * @throws TollgateError `unsupported_media_type`, `unknown_field`, a field's own code, else `invalid_request`; and what
 * reading a body throws.
 */
export async function readJson(
  request: HttpRequest,
  schema: z.ZodObject,
  fieldErrors: Readonly<Record<string, ErrorCode>> = {},
): Promise<unknown> {
  checkMediaType(request.header('content-type'));
  const body = await request.json();
  if (typeof body !== 'object' || body === null || Array.isArray(body)) {
    throw new TollgateError('invalid_request', { message: 'The request body must be a JSON object.' });
  }
  checkFields(Object.keys(body), schema);
  const parsed = schema.safeParse(body);
  if (parsed.success) return parsed.data;
  const field = String(parsed.error.issues[0]?.path[0] ?? '');
  if (!Object.hasOwn(body, field))
    throw new TollgateError('invalid_request', { message: `The field "${field}" is missing.` });
  const code = Object.hasOwn(fieldErrors, field) ? fieldErrors[field] : undefined;
  if (code !== undefined) throw new TollgateError(code);
  throw new TollgateError('invalid_request', { message: `The field "${field}" is not valid.` });
}

/** A page of another site can send a form or plain text along with the user's cookies, but not JSON. */
function checkMediaType(contentType: string | undefined): void {
  const [type, ...parameters] = (contentType ?? '').split(';').map((part) => part.trim().toLowerCase());
  const readable = parameters.every(
    (parameter) => !parameter.startsWith('charset=') || /^charset="?utf-?8"?$/.test(parameter),
  );
  if (type !== 'application/json' || !readable) throw new TollgateError('unsupported_media_type');
}

function checkFields(fields: readonly string[], schema: z.ZodObject): void {
  const unknown = fields.find((field) => !Object.hasOwn(schema.shape, field));
  if (unknown === undefined) return;
  // Only what looks like a field name is repeated to the caller.
  const named = /^[\w.-]{1,64}$/.test(unknown)
    ? { message: `The request body has a field this operation does not know: "${unknown}".` }
    : {};
  throw new TollgateError('unknown_field', named);
}
