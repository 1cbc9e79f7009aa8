import { stripeStandIn } from '@tollgate/testing';
import { afterEach, describe, expect, it } from 'vitest';
import { type Example, startExample } from '../examples/start-example.ts';
import { caller } from './stripe-hosts.ts';
import { alsoReturnTo, tellStory } from './stripe-story.ts';

const open: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one.close();
});

describe.each(['express', 'koa'] as const)(
  'the example on %s, with the variables of Stripe set',
  (framework) => {
    it('sells, upgrades, downgrades, renews, goes past due and cancels against the stand-in, and prints no secret', async () => {
      let example: Example | null = null;
      const standIn = await stripeStandIn({
        webhookUrl: () => (example === null ? null : `${example.api}/billing/webhooks/stripe`),
      });
      open.push(standIn);
      const [secret = ''] = standIn.webhookSecrets;
      const running = await startExample(framework, {
        STRIPE_SECRET_KEY: standIn.secretKey,
        STRIPE_WEBHOOK_SECRET: secret,
        STRIPE_API_BASE: standIn.origin,
        STRIPE_PRICE_PRO: standIn.addPrice({ amount: 1_900 }),
        STRIPE_PRICE_BUSINESS: standIn.addPrice({ amount: 9_900 }),
      });
      example = running;
      open.push({ close: async () => void (await running.stop()) });
      alsoReturnTo(`${running.origin}/`);
      await tellStory(standIn, caller(running.api), 'acme');
      expect(running.output()).toContain(`payments Stripe at ${standIn.origin}`);
      for (const word of [standIn.secretKey, secret]) expect(running.output()).not.toContain(word);
    }, 60_000);
  },
);
