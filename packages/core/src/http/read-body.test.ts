import type { IncomingMessage } from 'node:http';
import { PassThrough } from 'node:stream';
import { expect, test } from 'vitest';
import { readBody } from './read-body.ts';

function reading(bodyTimeoutMs = 60_000) {
  const stream = new PassThrough();
  const body = readBody(stream as unknown as IncomingMessage, { maxBodyBytes: 3, bodyTimeoutMs });
  return { stream, body };
}

test('T8: a body of as many bytes as are allowed is read, and one of a byte more is too large', async () => {
  const fits = reading();
  fits.stream.write('ab');
  fits.stream.end('c');
  expect(Buffer.from(await fits.body).toString()).toBe('abc');
  const large = reading();
  large.stream.write('abcd');
  await expect(large.body).rejects.toMatchObject({ code: 'body_too_large' });
  // Nobody listens any more, and the process goes on.
  large.stream.destroy(new Error('The connection broke.'));
  await new Promise((resolve) => large.stream.once('close', resolve));
});

test('a body whose client leaves, or that does not come in time, is none', async () => {
  const left = reading();
  left.stream.destroy();
  await expect(left.body).rejects.toMatchObject({ code: 'invalid_request' });
  const broken = reading();
  broken.stream.destroy(new Error('The connection broke.'));
  await expect(broken.body).rejects.toMatchObject({ code: 'invalid_request' });
  await expect(reading(1).body).rejects.toMatchObject({ code: 'body_timeout' });
});
