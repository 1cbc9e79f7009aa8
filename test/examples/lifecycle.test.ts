import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { waitUntil } from '../support/services.ts';
import { clientOf, press } from './example-client.ts';
import { startExample } from './start-example.ts';

vi.setConfig({ testTimeout: 90_000 });

const MAX_DELAY_MS = 400;

describe.each(['express', 'koa'] as const)('the example on %s with its clock shortened', (framework) => {
  it('goes over, is warned, degrades with delayed door opens, is marked, and comes back with an upgrade', async () => {
    const example = await startExample(framework, {
      TOLLGATE_WARNED_MS: '3000',
      TOLLGATE_DEGRADED_MS: '6000',
      TOLLGATE_SWEEP_MS: '100',
      TOLLGATE_MAX_DELAY_MS: `${MAX_DELAY_MS}`,
    });
    onTestFinished(async () => {
      await example.stop();
    });
    const admin = clientOf(example, 'demo-admin');
    const member = clientOf(example, 'demo-member');
    const status = async () => (await admin('GET', '/orgs/acme/billing/degradation')).body;
    const suspended = async () => {
      const { items } = (await admin('GET', '/devices')).body as {
        items: { id: string; suspended: boolean }[];
      };
      return items.filter((item) => item.suspended).map((item) => item.id);
    };
    const checkout = (tier: string) => admin('POST', '/orgs/acme/billing/checkout', { tier_slug: tier });
    const limitIs = (value: number) =>
      waitUntil(`the limit is ${value}`, async () => {
        const { items } = (await admin('GET', '/orgs/acme/billing/usage')).body;
        return items.find((item: { key: string }) => item.key === 'devices').limit.value === value;
      });

    await press((await checkout('pro')).headers.get('location') ?? '', 'confirm');
    await limitIs(50);
    const ids: string[] = [];
    for (let n = 0; n < 5; n += 1) ids.push((await admin('POST', '/devices')).body.id);
    await checkout('free');
    await limitIs(3);

    const warned = await status();
    expect(warned).toMatchObject({ stage: 'warned', degradation_level: 0, over_capacity: true });
    expect(warned.flagged.map((row: { id: string; state: string }) => [row.id, row.state]).sort()).toEqual(
      ids.slice(3).map((id) => [id, 'flagged']),
    );
    expect((await member('POST', '/doors/front/open')).headers.get('x-degradation-delay')).toBeNull();

    const first = await waitUntil('it is degraded', async () => {
      const now = await status();
      return now.stage === 'degraded' && now.degradation_level > 0 ? now : null;
    });
    const later = await waitUntil('the level rises', async () => {
      const now = await status();
      return now.degradation_level > first.degradation_level ? now : null;
    });
    expect(later.degradation_level).toBeLessThanOrEqual(1);
    const slow = await waitUntil('a door opens slowly', async () => {
      const answer = await member('POST', '/doors/front/open');
      expect(answer.status).toBe(200);
      return answer.headers.get('x-degradation-delay');
    });
    expect(Number(slow)).toBeGreaterThan(0);
    expect(Number(slow)).toBeLessThanOrEqual(MAX_DELAY_MS);
    const admins = await admin('POST', '/doors/front/open');
    expect([admins.status, admins.headers.get('x-degradation-delay')]).toEqual([200, null]);
    await waitUntil('the newest two are suspended', async () => (await suspended()).length === 2);
    expect(await suspended()).toEqual(ids.slice(3));

    const marked = await waitUntil(
      'it is marked',
      async () => {
        const now = await status();
        return now.stage === 'marked_for_delete' ? now : null;
      },
      { timeoutMs: 20_000 },
    );
    expect(marked.degradation_level).toBe(1);
    expect(marked.flagged.map((row: { state: string }) => row.state)).toEqual([
      'marked_for_delete',
      'marked_for_delete',
    ]);
    expect((await admin('GET', '/devices')).body.items, 'the library deletes nothing').toHaveLength(5);

    await press((await checkout('pro')).headers.get('location') ?? '', 'confirm');
    await limitIs(50);
    expect(await status()).toMatchObject({
      stage: 'none',
      degradation_level: 0,
      over_capacity: false,
      flagged: [],
    });
    await waitUntil('every device works again', async () => (await suspended()).length === 0);
    expect((await member('POST', '/doors/front/open')).headers.get('x-degradation-delay')).toBeNull();
  });
});
