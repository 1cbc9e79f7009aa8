import { once } from 'node:events';
import type { IncomingMessage } from 'node:http';
import { Readable } from 'node:stream';
import { runInNewContext } from 'node:vm';
import { expect, test } from 'vitest';
import { keepBytes, keptBytes, recordBytes } from './kept-body.ts';
import { createNodeRequest } from './node-request.ts';

function messageOf(body: readonly (string | Uint8Array)[], headers: object = {}, encoding?: BufferEncoding) {
  const message = Readable.from(
    body.map((chunk) => Buffer.from(chunk)),
    { objectMode: false },
  );
  if (encoding !== undefined) message.setEncoding(encoding);
  const chunked = { 'transfer-encoding': 'chunked', ...headers };
  return Object.assign(message, { headers: chunked, httpVersionMajor: 1 }) as unknown as IncomingMessage;
}

const requestOf = (message: IncomingMessage, parsed: object = {}, target = '/') =>
  createNodeRequest({ message, native: {}, targetOf: () => target, parsed });

async function drain(message: IncomingMessage) {
  message.resume();
  await once(message, 'end');
}

const BYTES = Uint8Array.of(0x7b, 0xff, 0xc3, 0xa9, 0x7d);

test('a header is found in any case, its repeats are joined, and what the object inherits is none', () => {
  const request = requestOf(messageOf([], { 'x-key': 'a', 'set-cookie': ['a=1', 'b=2'] }));
  expect(request.header('X-Key')).toBe('a');
  expect(request.header('Set-Cookie')).toBe('a=1, b=2');
  for (const name of ['constructor', 'toString', '__proto__']) expect(request.header(name)).toBeUndefined();
});

test('the first value of a query parameter counts, decoded', () => {
  const request = requestOf(messageOf([]), {}, '/x?a=%31&a=2&b=#a=3');
  expect([request.query('a'), request.query('b'), request.query('c')]).toEqual(['1', '', undefined]);
});

test.each(['utf8', 'latin1', 'hex', 'base64'] as const)(
  'what a parser reads as %s is recorded as the bytes that came',
  async (encoding) => {
    const bytes = encoding === 'utf8' ? Buffer.from('{"é":1}') : BYTES;
    const message = messageOf([bytes.subarray(0, 2), bytes.subarray(2)], {}, encoding);
    recordBytes(message);
    await drain(message);
    expect(Buffer.compare(keptBytes(message) ?? Buffer.alloc(0), bytes)).toBe(0);
  },
);

test('bytes are those that came, whatever encoding the host has set', async () => {
  const bytes = await requestOf(messageOf([BYTES], {}, 'latin1')).bytes();
  expect(Buffer.compare(bytes, BYTES)).toBe(0);
});

test('what was not read to its end, or from its beginning, is not kept', async () => {
  const half = messageOf(['{}', '{}']);
  recordBytes(half);
  half.once('data', () => half.pause());
  await once(half, 'data');
  expect(keptBytes(half)).toBeNull();
  const late = messageOf(['{}']);
  await drain(late);
  recordBytes(late);
  expect(keptBytes(late)).toBeNull();
  await expect(requestOf(late).bytes()).rejects.toMatchObject({ code: 'raw_body_unavailable' });
});

test('a body is recorded once, whoever asks for it how often', async () => {
  const message = messageOf(['{', '}']);
  recordBytes(message);
  await drain(message);
  recordBytes(message);
  expect(String(keptBytes(message))).toBe('{}');
});

test('T8: what is too large to be recorded, or to be taken, is not taken', async () => {
  const huge = messageOf(Array.from({ length: 9 }, () => new Uint8Array(1_048_576)));
  recordBytes(huge);
  await drain(huge);
  expect(keptBytes(huge)).toBeNull();
  const kept = messageOf([]);
  keepBytes(kept, new Uint8Array(1_048_577));
  await expect(requestOf(kept).bytes()).rejects.toMatchObject({ code: 'body_too_large' });
});

test.each<[string, unknown]>([
  ['an object', { a: 1 }],
  ['its text', '{"a":1}'],
  ['its bytes', Buffer.from('{"a":1}')],
])('JSON is what a parser made of it: %s', async (_, body) => {
  const message = messageOf(['{"a":2}']);
  await drain(message);
  expect(await requestOf(message, { body }).json()).toEqual({ a: 1 });
});

test('JSON is what came, where a parser left something and read nothing, however often it is asked for', async () => {
  const message = messageOf(['\ufeff{"a"', ':2}']);
  for (let times = 0; times < 2; times += 1)
    expect(await requestOf(message, { body: {} }).json()).toEqual({ a: 2 });
});

test('a body without bytes that was read, or that nothing announces, is empty', async () => {
  const empty = messageOf([]);
  await drain(empty);
  expect(await requestOf(empty).bytes()).toHaveLength(0);
  const unannounced = messageOf(['x'], { 'transfer-encoding': undefined });
  expect(await requestOf(unannounced).bytes()).toHaveLength(0);
});

test('T8: the encoding "identity" is none, and any other is refused, also where a parser undid it', async () => {
  for (const encoding of ['identity', ' Identity '])
    expect(await requestOf(messageOf(['{}'], { 'content-encoding': encoding })).json()).toEqual({});
  for (const encoding of ['gzip', 'identity, gzip', '']) {
    const request = requestOf(messageOf(['{}'], { 'content-encoding': encoding }), { body: {} });
    await expect(request.json()).rejects.toMatchObject({ code: 'unsupported_encoding' });
    await expect(request.bytes()).rejects.toMatchObject({ code: 'unsupported_encoding' });
  }
});

test('bytes of another realm, as all are under Jest with jsdom, are bytes', async () => {
  const foreign: Uint8Array = runInNewContext('Uint8Array.of(0x7b, 0x7d)');
  const read = async (parsed: object) => {
    const message = messageOf(['{}']);
    await drain(message);
    return requestOf(message, parsed);
  };
  expect(String(Buffer.from(await (await read({ rawBody: foreign })).bytes()))).toBe('{}');
  expect(await (await read({ body: foreign })).json()).toEqual({});
  const kept = messageOf(['{}']);
  keepBytes(kept, foreign);
  expect(keptBytes(kept)).toBe(foreign);
});
