import { gzipSync } from 'node:zlib';
import type { RawRequest } from '../raw-exchange.ts';
import { BODY_LIMITS } from '../server-fixture.ts';
import { CHECKOUT, headersOf, OVERRIDES, type ServerRequest, send } from './server-request.ts';

const PARSER_STRICT = 'a parser ahead of the routes refuses what is no JSON object, in its own words';

/** Bodies that the operation does not accept, or that do not arrive as they should. */
export const bodyRequests: readonly ServerRequest[] = [
  ...['price', 'limit_value', 'customer', 'constructor', 'toString'].map(
    (field): ServerRequest => ({
      name: `T18: a field too many, ${field}`,
      request: send('POST', CHECKOUT, 'key-admin', `{"tier_slug":"pro","${field}":1}`),
      status: 400,
      code: 'unknown_field',
    }),
  ),
  {
    name: 'T18: a field too many whose name is none is not repeated',
    request: send('POST', CHECKOUT, 'key-admin', '{"tier_slug":"pro","<b>":1}'),
    status: 400,
    code: 'unknown_field',
    body: { message: 'The request body has a field this operation does not know.' },
  },
  {
    name: 'T18: a field too many, __proto__',
    request: send('POST', OVERRIDES, 'key-operator', '{"subject_type":"org","__proto__":{"limit_value":-1}}'),
    status: 400,
    code: 'unknown_field',
    parserMayAnswer: 'some parsers refuse the key __proto__ themselves',
  },
  {
    name: 'a field missing',
    request: send('POST', CHECKOUT, 'key-admin', '{}'),
    status: 400,
    code: 'invalid_request',
  },
  {
    name: 'a field of another type',
    request: send('POST', CHECKOUT, 'key-admin', '{"tier_slug":7}'),
    status: 400,
    code: 'invalid_request',
  },
  {
    name: 'a list for a body',
    request: send('POST', CHECKOUT, 'key-admin', '[]'),
    status: 400,
    code: 'invalid_request',
  },
  ...['null', '"pro"', '7', '{', '', '{"tier_slug":"pro"', "{'tier_slug':'pro'}"].map(
    (text): ServerRequest => ({
      name: `the body ${JSON.stringify(text)}`,
      request: send('POST', CHECKOUT, 'key-admin', text),
      status: 400,
      code: 'invalid_request',
      parserMayAnswer: PARSER_STRICT,
    }),
  ),
  {
    name: 'a body that is not UTF-8',
    request: {
      ...send('POST', CHECKOUT, 'key-admin', ''),
      body: Buffer.from('{"tier_slug":"\xff"}', 'latin1'),
    },
    status: 400,
    code: 'invalid_request',
    parserMayAnswer: 'parsers replace what is not UTF-8',
  },
  {
    name: 'a nesting of 30,000 lists',
    request: send('POST', CHECKOUT, 'key-admin', '['.repeat(30_000)),
    status: 400,
    code: 'invalid_request',
    parserMayAnswer: PARSER_STRICT,
  },
  ...[
    'application/x-www-form-urlencoded',
    'text/plain',
    'multipart/form-data; boundary=x',
    'application/json; charset=utf-16',
    'application/jsonp',
    'text/plain; application/json',
  ].map(
    (type): ServerRequest => ({
      name: `T21: a body sent as ${type}`,
      request: {
        ...send('POST', CHECKOUT, 'key-admin', { tier_slug: 'pro' }),
        headers: { ...headersOf('key-admin'), 'Content-Type': type },
      },
      status: 415,
      code: 'unsupported_media_type',
      ...(type.includes('charset') ? { parserMayAnswer: 'a parser refuses charsets it cannot read' } : {}),
    }),
  ),
  {
    name: 'T21: a body without a type',
    request: {
      ...send('POST', CHECKOUT, 'key-admin', { tier_slug: 'pro' }),
      headers: headersOf('key-admin'),
    },
    status: 415,
    code: 'unsupported_media_type',
  },
  {
    name: 'a JSON type in other letters and with a charset',
    request: {
      ...send('POST', CHECKOUT, 'key-admin', { tier_slug: 'pro' }),
      headers: { ...headersOf('key-admin'), 'Content-Type': 'Application/JSON; Charset="UTF-8"' },
    },
    status: 200,
  },
  {
    name: 'a JSON type with another parameter',
    request: {
      ...send('POST', CHECKOUT, 'key-admin', { tier_slug: 'pro' }),
      headers: { ...headersOf('key-admin'), 'Content-Type': 'application/json; profile=x;charset=utf-8' },
    },
    status: 200,
  },
  {
    name: 'T8: a compressed body',
    request: {
      ...send('POST', CHECKOUT, 'key-admin', ''),
      headers: { ...headersOf('key-admin'), 'Content-Type': 'application/json', 'Content-Encoding': 'gzip' },
      body: gzipSync('{"tier_slug":"pro"}'),
    },
    status: 415,
    code: 'unsupported_encoding',
  },
  {
    name: 'T8: a body over the limit',
    request: send('POST', CHECKOUT, 'key-admin', `{"tier_slug":"${'x'.repeat(BODY_LIMITS.maxBodyBytes)}"}`),
    status: 413,
    code: 'body_too_large',
  },
  {
    name: 'T8: a body over the limit in chunks',
    request: chunked(CHECKOUT, `{"tier_slug":"${'x'.repeat(BODY_LIMITS.maxBodyBytes)}"}`),
    status: 413,
    code: 'body_too_large',
    parserMayAnswer: 'a parser took it, whose own limit it kept',
  },
  {
    name: 'a body in chunks',
    request: chunked(CHECKOUT, '{"tier_slug":"pro"}'),
    status: 200,
  },
  {
    name: 'T8: a body that does not arrive',
    request: { ...send('POST', CHECKOUT, 'key-admin', '{"tier_'), contentLength: 20 },
    status: 408,
    code: 'body_timeout',
    headers: { connection: 'close' },
    parserMayAnswer: 'a parser waits as long as it likes',
  },
  {
    name: 'who may not call is answered before the body is waited for',
    request: { ...send('POST', CHECKOUT, undefined, '{'), contentLength: 20 },
    status: 401,
    code: 'unauthorized',
    parserMayAnswer: 'a parser waits for the body first',
  },
];

function chunked(target: string, text: string): RawRequest {
  const body = `${Buffer.byteLength(text).toString(16)}\r\n${text}\r\n0\r\n\r\n`;
  const headers = {
    ...headersOf('key-admin'),
    'Content-Type': 'application/json',
    'Transfer-Encoding': 'chunked',
  };
  return { method: 'POST', target, headers, body, contentLength: 0 };
}
