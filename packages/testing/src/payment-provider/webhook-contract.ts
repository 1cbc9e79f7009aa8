import type { PaymentProvider } from '@tollgate/core';
import { describe, expect, it } from 'vitest';
import type { PaymentProviderHost, SignedWebhook } from '../payment-provider-host.ts';
import type { ProviderBench } from './provider-bench.ts';

const TOLERANCE_MS = 300_000;

/** Which webhooks are read, and which are refused. */
export function webhookContract<P extends PaymentProvider>(
  host: PaymentProviderHost<P>,
  bench: ProviderBench<P>,
): void {
  describe('webhooks', () => {
    it('are read back as events about the subscription, with an id each', async () => {
      const { customerId, sessionId, subscriptionId } = await bench.subscribe();
      const events = (
        await Promise.all((await host.webhooks.sent(bench.provider)).map((sent) => bench.read(sent)))
      ).flat();
      expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
      expect(events).toContainEqual(
        expect.objectContaining({ kind: 'subscription_created', customerId, subscriptionId }),
      );
      expect(events).toContainEqual(expect.objectContaining({ checkoutSessionId: sessionId, customerId }));
    });

    it('tell of a failed payment and of an end', async () => {
      const { subscriptionId } = await bench.subscribe();
      await host.act.setStatus(bench.provider, subscriptionId, 'past_due');
      await host.act.setStatus(bench.provider, subscriptionId, 'canceled');
      const events = (
        await Promise.all((await host.webhooks.sent(bench.provider)).map((sent) => bench.read(sent)))
      ).flat();
      const kinds = events.filter((event) => event.subscriptionId === subscriptionId).map(({ kind }) => kind);
      expect(kinds).toEqual(
        expect.arrayContaining(['invoice_failed', 'subscription_updated', 'subscription_canceled']),
      );
    });

    async function sample(): Promise<SignedWebhook> {
      await bench.subscribe();
      const [first] = await host.webhooks.sent(bench.provider);
      if (first === undefined) throw new Error('The provider posted nothing.');
      return first;
    }
    const refused = { code: 'invalid_signature' };

    it('T1: are refused with any byte of the body changed', async () => {
      const { bytes, headers } = await sample();
      for (let index = 0; index < bytes.length; index += 1) {
        const changed = Uint8Array.from(bytes);
        changed[index] = (changed[index] ?? 0) ^ 1;
        await expect(bench.read({ bytes: changed, headers })).rejects.toMatchObject(refused);
      }
    });

    it('T1: are refused with one message whatever is wrong with the signature', async () => {
      const { bytes, headers } = await sample();
      const name = host.webhooks.signatureHeader;
      const good = headers[name] ?? '';
      const now = host.now(bench.provider);
      const stale = [-2, 2].map(
        (times) => host.webhooks.sign(bench.provider, bytes, now + times * TOLERANCE_MS)[name],
      );
      const bad = [
        undefined,
        '',
        ' ',
        good.slice(0, -1),
        `${good}0`,
        good.replace(/.$/, (c) => (c === '0' ? '1' : '0')),
        ...stale,
      ];
      const messages = new Set<string>();
      for (const value of bad) {
        const { [name]: _, ...others } = headers;
        const attempt = bench.read({
          bytes,
          headers: value === undefined ? others : { ...others, [name]: value },
        });
        await attempt.catch((error: Error) => messages.add(error.message));
        await expect(attempt).rejects.toMatchObject(refused);
      }
      expect(messages.size).toBe(1);
    });

    it('T3: are accepted up to 300 s old or early, and refused beyond', async () => {
      const { bytes } = await sample();
      const now = Math.floor(host.now(bench.provider) / 1_000) * 1_000;
      for (const offset of [-TOLERANCE_MS, 0, TOLERANCE_MS]) {
        const headers = host.webhooks.sign(bench.provider, bytes, now + offset);
        expect(await bench.read({ bytes, headers }, now)).toHaveLength(1);
      }
      for (const offset of [-TOLERANCE_MS - 1_000, TOLERANCE_MS + 1_000]) {
        const headers = host.webhooks.sign(bench.provider, bytes, now + offset);
        await expect(bench.read({ bytes, headers }, now)).rejects.toMatchObject(refused);
      }
    });

    it('T9: are refused as no event when the signed bytes are something else', async () => {
      const deep = `${'['.repeat(200_000)}${']'.repeat(200_000)}`;
      const texts = ['', 'null', '[]', '1', '"x"', '{', '{}', '{"__proto__":{"id":"a"}}', '\ufeff{}', deep];
      const bodies = [
        ...texts.map((text) => new TextEncoder().encode(text)),
        Uint8Array.of(0x7b, 0xff, 0x7d),
      ];
      const now = host.now(bench.provider);
      for (const bytes of bodies) {
        const headers = host.webhooks.sign(bench.provider, bytes, now);
        await expect(bench.read({ bytes, headers }, now)).rejects.toMatchObject({ code: 'invalid_event' });
      }
    });

    it('are read twice to the same events', async () => {
      const webhook = await sample();
      expect(await bench.read(webhook)).toEqual(await bench.read(webhook));
    });
  });
}
