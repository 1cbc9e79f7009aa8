import { createRequire } from 'node:module';
import { expect, it, vi } from 'vitest';
import { stripeProvider } from './index.ts';

// What `import()` answers where it is compiled to `require`.
vi.mock('stripe', () => ({ default: createRequire(import.meta.url)('stripe') }));

it('asks Stripe by the CommonJS build of the client where import() is compiled to require, as by Jest and swc', async () => {
  const provider = stripeProvider({
    secretKey: 'sk_test_0123456789',
    webhookSecrets: 'whsec_first_secret_0123456789',
    prices: { pro: 'price_pro' },
    successUrl: 'https://app.example.com',
    apiBase: 'http://127.0.0.1:9',
    maxNetworkRetries: 0,
  });
  const question = provider.fetchSubscription({ subscriptionId: 'sub_1' });
  await expect(question).rejects.toMatchObject({ code: 'provider_error' });
  await provider.close();
});
