import { describe, expect, it, onTestFinished } from 'vitest';
import { bytesOf, event, read, webhookProvider } from './webhook-rig.test-support.ts';

describe('signed bytes', () => {
  const nested = (depth: number) => `${'{"a":'.repeat(depth)}1${'}'.repeat(depth)}`;
  const whole = JSON.stringify(event());
  const odd: readonly (readonly [string, string])[] = [
    ['nothing', ''],
    ['null', 'null'],
    ['a list', '[]'],
    ['a list of an event', `[${whole}]`],
    ['a number', '7'],
    ['a text', '"evt"'],
    ['half an object', '{"id":'],
    ['two objects', '{}{}'],
    ['an empty object', '{}'],
    ['200,000 lists in one another', `${'['.repeat(200_000)}${']'.repeat(200_000)}`],
    ['200,000 objects in one another', nested(200_000)],
    [
      'an event with deep metadata',
      JSON.stringify(event()).replace('"request":null', `"request":${nested(100)}`),
    ],
    ['a name twice', whole.replace('"livemode":false', '"livemode":false,"livemode":true')],
    [
      'a name twice, once escaped',
      whole.replace('"livemode":false', '"livemode":false,"\\u006civemode":true'),
    ],
    ['an event by inheritance', `{"__proto__":${whole}}`],
    ['a constructor', '{"constructor":{"prototype":{"id":"evt_1"}}}'],
    ['an id that is a number', JSON.stringify(event({ id: 7 }))],
    ['an id that is too long', JSON.stringify(event({ id: 'e'.repeat(256) }))],
    ['no id', JSON.stringify(event({ id: '' }))],
    ['no type', JSON.stringify(event({ type: null }))],
    ['no time', JSON.stringify(event({ created: 'today' }))],
    ['a time beyond reason', JSON.stringify(event({ created: 1e300 }))],
    ['a time beyond all calendars', JSON.stringify(event({ created: 9e12 }))],
    ['a time before all calendars', JSON.stringify(event({ created: -9e12 }))],
    ['a mode in words', JSON.stringify(event({ livemode: 'false' }))],
    ['no object', JSON.stringify(event({ data: {} }))],
    ['another kind of object', JSON.stringify(event({ object: 'charge' }))],
    ['a byte order mark', `\ufeff${whole}`],
  ];

  it.each(odd)('T9: that are no event are refused: %s', async (_, text) => {
    await expect(read(webhookProvider(), bytesOf(text))).rejects.toMatchObject({
      code: 'invalid_event',
      status: 400,
    });
  });

  it('T9: that are no UTF-8 are refused', async () => {
    const bytes = Buffer.from(JSON.stringify(event({ id: 'evt_\xff' })), 'latin1');
    await expect(read(webhookProvider(), bytes)).rejects.toMatchObject({ code: 'invalid_event' });
  });

  it('T9: with __proto__ in them are read by own properties alone, and change no prototype', async () => {
    const text = JSON.stringify(event()).replace(
      '"status":"active"',
      '"status":"active","__proto__":{"customer":"cus_evil","polluted":true}',
    );
    expect(await read(webhookProvider(), bytesOf(text))).toMatchObject([{ customerId: 'cus_1' }]);
    expect(({} as { polluted?: boolean }).polluted).toBeUndefined();
  });

  it('T9: are read by own properties alone where something else put a name on every object', async () => {
    const provider = webhookProvider();
    const bytes = bytesOf(event({ data: { object: { id: 'sub_1', object: 'subscription' } } }));
    for (const [name, value] of Object.entries({ customer: 'cus_evil', account: 'acct_evil' })) {
      Object.defineProperty(Object.prototype, name, { value, configurable: true });
      onTestFinished(() => void Reflect.deleteProperty(Object.prototype, name));
    }
    expect(await read(provider, bytes)).toMatchObject([{ subscriptionId: 'sub_1', customerId: null }]);
  });

  it('may hold the same name in different objects, and quotes and brackets in texts', async () => {
    const object = {
      id: 'sub_1',
      object: 'subscription',
      customer: 'cus_1',
      metadata: { id: '{"[\\', '\\"': ']]]}' },
    };
    expect(await read(webhookProvider(), bytesOf(event({ data: { object } })))).toMatchObject([
      { subscriptionId: 'sub_1' },
    ]);
  });
});

describe('an event', () => {
  it('T10: of the other mode is nothing for us', async () => {
    expect(await read(webhookProvider(), bytesOf(event({ livemode: true })))).toEqual([]);
    const live = webhookProvider({ secretKey: 'sk_live_0123456789abcdef' });
    expect(await read(live, bytesOf(event()))).toEqual([]);
    expect(await read(live, bytesOf(event({ livemode: true })))).toHaveLength(1);
  });

  it('T10: of a connected account is nothing for us, unless we act for that account', async () => {
    const theirs = bytesOf(event({ account: 'acct_1' }));
    expect(await read(webhookProvider(), theirs)).toEqual([]);
    expect(await read(webhookProvider({ account: 'acct_1' }), theirs)).toHaveLength(1);
    expect(await read(webhookProvider({ account: 'acct_2' }), theirs)).toEqual([]);
    expect(await read(webhookProvider({ account: 'acct_1' }), bytesOf(event()))).toEqual([]);
  });

  it.each([
    ['customer.subscription.created', 'subscription_created'],
    ['customer.subscription.updated', 'subscription_updated'],
    ['customer.subscription.deleted', 'subscription_canceled'],
    ['customer.subscription.paused', 'subscription_updated'],
    ['customer.subscription.trial_will_end', 'subscription_updated'],
    ['subscription_schedule.released', 'subscription_updated'],
    ['invoice.paid', 'invoice_paid'],
    ['invoice.payment_failed', 'invoice_failed'],
    ['invoice.payment_succeeded', 'other'],
    ['checkout.session.completed', 'other'],
    ['charge.refunded', 'other'],
    ['constructor', 'other'],
    ['a.type.of.the.year.2040', 'other'],
  ])('%s is of kind %s', async (type, kind) => {
    expect(await read(webhookProvider(), bytesOf(event({ type })))).toMatchObject([{ type, kind }]);
  });

  it('names tier and status of its subscription; an unknown price is no tier', async () => {
    const of = (price: string) => ({
      data: {
        object: {
          id: 'sub_1',
          object: 'subscription',
          customer: { id: 'cus_1', object: 'customer' },
          status: 'past_due',
          items: { data: [{ price: { id: price } }] },
        },
      },
    });
    const subject = { customerId: 'cus_1', subscriptionId: 'sub_1', status: 'past_due' };
    expect(await read(webhookProvider(), bytesOf(event(of('price_pro_old'))))).toMatchObject([
      { ...subject, tier: 'pro' },
    ]);
    expect(await read(webhookProvider(), bytesOf(event(of('price_else'))))).toMatchObject([
      { ...subject, tier: null },
    ]);
    expect(await read(webhookProvider(), bytesOf(event(of('__proto__'))))).toMatchObject([
      { ...subject, tier: null },
    ]);
  });

  it('of a page that sells something else than a subscription is about nothing here', async () => {
    const object = {
      id: 'cs_1',
      object: 'checkout.session',
      mode: 'payment',
      customer: 'cus_1',
      subscription: null,
    };
    const [read1] = await read(
      webhookProvider(),
      bytesOf(event({ type: 'checkout.session.completed', data: { object } })),
    );
    expect(read1).toMatchObject({ kind: 'other', checkoutSessionId: null, customerId: null });
  });
});
