import { gzipSync } from 'node:zlib';
import type { SandboxProvider } from '@tollgate/core';
import type { RawRequest } from '../raw-exchange.ts';
import { BODY_LIMITS } from '../server-fixture.ts';
import { CORRELATION_ID, type ServerRequest } from './server-request.ts';

/** Webhooks, with and without the sandbox's signature. */
export function webhookRequests(provider: SandboxProvider): readonly ServerRequest[] {
  const event = Buffer.from('{"id": "evt_contract",  "type":"invoice.paid"}');
  const signature = provider.sign(event);
  const hook = (name: string, headers: Record<string, string>, body: Uint8Array | string): RawRequest => ({
    method: 'POST',
    target: `/billing/webhooks/${name}`,
    headers: { 'X-Correlation-Id': CORRELATION_ID, ...headers },
    body,
  });
  const unsigned = { 'Content-Type': 'application/json' };
  return [
    {
      name: 'T1: a webhook without a signature',
      request: hook('sandbox', unsigned, event),
      status: 400,
      code: 'invalid_signature',
    },
    {
      name: 'T1: a webhook of which one byte was changed',
      request: hook('sandbox', signature, Buffer.from(String(event).replace('paid', 'paie'))),
      status: 400,
      code: 'invalid_signature',
    },
    {
      name: 'T7: a webhook is verified over its own bytes, whatever its type',
      request: hook('sandbox', { ...signature, 'content-type': 'application/octet-stream' }, event),
      status: 400,
      code: 'invalid_event',
    },
    {
      name: 'T7: a webhook sent as JSON with a charset, as Stripe sends it, is verified over its own bytes',
      request: hook('sandbox', { ...signature, 'content-type': 'application/json; charset=utf-8' }, event),
      status: 400,
      code: 'invalid_event',
    },
    {
      name: 'a webhook without a body',
      request: hook('sandbox', unsigned, ''),
      status: 400,
      code: 'invalid_signature',
    },
    ...['__proto__', 'constructor', 'stripe', 'SANDBOX', '%zz', 'sandbox%00', '..%2fsandbox'].map(
      (name): ServerRequest => ({
        name: `T12: a webhook of the provider ${name}`,
        request: hook(name, signature, event),
        status: 404,
        code: 'unknown_provider',
      }),
    ),
    {
      name: 'T12: a webhook of no provider is answered before its body is waited for',
      request: { ...hook('stripe', { 'Content-Type': 'application/octet-stream' }, 'x'), contentLength: 9 },
      status: 404,
      code: 'unknown_provider',
      parserMayAnswer: 'a parser waits for the body first',
    },
    {
      name: 'T8: a webhook over the limit',
      request: hook('sandbox', { 'Content-Type': 'text/plain' }, 'x'.repeat(BODY_LIMITS.maxBodyBytes + 1)),
      status: 413,
      code: 'body_too_large',
    },
    {
      name: 'T8: a compressed webhook',
      request: hook(
        'sandbox',
        { 'Content-Type': 'application/octet-stream', 'Content-Encoding': 'gzip' },
        gzipSync(event),
      ),
      status: 415,
      code: 'unsupported_encoding',
    },
    {
      name: 'T8: a webhook that does not arrive',
      request: { ...hook('sandbox', { 'Content-Type': 'application/octet-stream' }, 'x'), contentLength: 9 },
      status: 408,
      code: 'body_timeout',
    },
  ];
}
