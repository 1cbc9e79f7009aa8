import { type StripeStandIn, stripeStandIn } from '@tollgate/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { caller, FRAMEWORKS, type StripeHost, stripeHost } from './stripe-hosts.ts';
import { tellStory } from './stripe-story.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

async function started(framework: string): Promise<{ host: StripeHost; standIn: StripeStandIn }> {
  let webhookUrl: string | null = null;
  const standIn = await stripeStandIn({ webhookUrl: () => webhookUrl });
  open.push(standIn);
  const prices = { pro: standIn.addPrice({ amount: 1_900 }), business: standIn.addPrice({ amount: 9_900 }) };
  const host = await stripeHost({ framework, standIn, prices });
  open.push(host);
  webhookUrl = host.webhookUrl;
  return { host, standIn };
}

describe.each(Object.keys(FRAMEWORKS))('on %s', (framework) => {
  it('an org buys, goes up, goes down, is renewed, misses a payment, pays, and leaves; T30: no secret is in any answer or log', async () => {
    const { host, standIn } = await started(framework);
    const seen: string[] = [];
    await tellStory(standIn, caller(host.api, seen), 'acme');
    const said = [...seen, ...host.logs].join('\n');
    for (const secret of [standIn.secretKey, ...standIn.webhookSecrets]) expect(said).not.toContain(secret);
  });

  it('T1, T30: a delivery with a wrong signature is refused, in words that tell nothing', async () => {
    const { host, standIn } = await started(framework);
    const bytes = new TextEncoder().encode('{"id":"evt_1","object":"event"}');
    for (const [header, value] of [
      ['stripe-signature', 't=1,v1=00'],
      ['x-other', ''],
    ] as const) {
      const answer = await fetch(host.webhookUrl, {
        method: 'POST',
        body: bytes,
        headers: { 'content-type': 'application/json', [header]: value },
      });
      expect(answer.status).toBe(400);
      expect(await answer.json()).toMatchObject({
        error_code: 'invalid_signature',
        message: 'The signature does not match.',
      });
    }
    expect(standIn.requests()).toEqual([]);
  });

  it('T29, T30: failures of Stripe’s are answered as such, without its words', async () => {
    const { host, standIn } = await started(framework);
    const seen: string[] = [];
    const call = caller(host.api, seen);
    const expected = [
      [{ status: 500 }, 502, 'provider_error'],
      [{ status: 429, retryAfterSeconds: 9 }, 503, 'provider_busy'],
      [{ timeout: true }, 504, 'provider_timeout'],
      [{ garbage: true }, 502, 'provider_error'],
    ] as const;
    for (const [fault, status, code] of expected) {
      standIn.failNext(fault);
      const answer = await call('POST', '/orgs/acme/billing/checkout', { tier_slug: 'pro' });
      expect({ status: answer.status, code: answer.body.error_code }).toEqual({ status, code });
      expect(answer.headers.get('retry-after')).toBe(status === 503 ? '9' : null);
    }
    const said = [...seen, ...host.logs].join('\n');
    for (const word of ['asked for', 'sk_test', standIn.secretKey, 'Oops']) expect(said).not.toContain(word);
  });
});
