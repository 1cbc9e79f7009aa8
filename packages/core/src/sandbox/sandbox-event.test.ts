import { expect, it, onTestFinished } from 'vitest';
import { parseSandboxEvent, sandboxEventBytes } from './sandbox-event.ts';
import type { SandboxEvent } from './sandbox-state.ts';

const event: SandboxEvent = {
  id: 'evt_1',
  type: 'checkout.completed',
  createdAt: 1_775_736_000_000,
  customerId: 'cus_1',
  subscriptionId: 'sub_1',
  sessionId: 'cs_1',
  status: 'active',
  tier: 'pro',
};
const text = new TextDecoder().decode(sandboxEventBytes(event));
const read = (written: string) => parseSandboxEvent(new TextEncoder().encode(written));
const invalid = expect.objectContaining({ code: 'invalid_event', status: 400 });

it('is read back as it was written, and of a page only where it is about one', () => {
  const { sessionId, type, ...rest } = event;
  const told = { ...rest, type, kind: 'other', livemode: false, checkoutSessionId: sessionId };
  expect(parseSandboxEvent(sandboxEventBytes(event))).toEqual(told);
  const paid = { ...event, type: 'invoice.paid' } as const;
  expect(parseSandboxEvent(sandboxEventBytes(paid))).toMatchObject({
    kind: 'invoice_paid',
    checkoutSessionId: null,
  });
});

it.each([
  ['nothing', ''],
  ['null', 'null'],
  ['a list', `[${text}]`],
  ['a byte order mark', `\ufeff${text}`],
  ['no id', text.replace('"evt_1"', '""')],
  ['an id that is a number', text.replace('"evt_1"', '7')],
  ['an id that is too long', text.replace('evt_1', 'e'.repeat(256))],
  ['a type that is too long', text.replace('checkout.completed', 't'.repeat(256))],
  ['a time that is a text', text.replace(String(event.createdAt), '"today"')],
  ['a time with a fraction', text.replace(String(event.createdAt), '1.5')],
  ['a mode in words', text.replace('false', '"false"')],
  ['no data', text.replace(/\{"customer.*\}/, 'null}')],
  ['a list of data', text.replace(/\{"customer.*\}/, '[]}')],
  ['a customer that is none', text.replace('"cus_1"', '{"id":"cus_1"}')],
  ['an empty customer', text.replace('"cus_1"', '""')],
])('T9: bytes that are no event are refused: %s', (_, written) => {
  expect(written).not.toBe(text);
  expect(() => read(written)).toThrow(invalid);
});

it('T9: bytes that are no UTF-8 are refused', () => {
  const broken = Buffer.from(text.replace('cus_1', 'cus_\xff'), 'latin1');
  expect(() => parseSandboxEvent(broken)).toThrow(invalid);
});

it('T9: what data inherits is not there, be it of every object', () => {
  const inherited = text.replace('"customer":"cus_1"', '"__proto__":{"customer":"cus_evil"}');
  expect(read(inherited)).toMatchObject({ customerId: null, subscriptionId: 'sub_1' });
  Object.defineProperty(Object.prototype, 'customer', { value: 'cus_evil', configurable: true });
  onTestFinished(() => void Reflect.deleteProperty(Object.prototype, 'customer'));
  expect(read(inherited)).toMatchObject({ customerId: null, subscriptionId: 'sub_1' });
});
