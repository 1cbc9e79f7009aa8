import { expect, it, vi } from 'vitest';
import { bytesOf, event, headerOf, NOW } from './webhook-rig.test-support.ts';

const loads = vi.hoisted(() => ({ count: 0 }));
vi.mock('stripe', async (original) => {
  loads.count += 1;
  return await original();
});

it('loads the client at the first question to Stripe, not by importing the package, making a provider or reading a webhook', async () => {
  const { stripeProvider } = await import('./index.ts');
  const provider = stripeProvider({
    secretKey: 'sk_test_0123456789',
    webhookSecrets: 'whsec_first_secret_0123456789',
    prices: { pro: 'price_pro' },
    successUrl: 'https://app.example.com',
    apiBase: 'http://127.0.0.1:9',
    maxNetworkRetries: 0,
  });
  const bytes = bytesOf(event());
  expect(await provider.readWebhook({ bytes, header: () => headerOf(bytes), now: NOW })).toHaveLength(1);
  expect(loads.count).toBe(0);
  const question = provider.fetchSubscription({ subscriptionId: 'sub_1' });
  await expect(question).rejects.toMatchObject({ code: 'provider_error' });
  expect(loads.count).toBe(1);
  await provider.close();
});
