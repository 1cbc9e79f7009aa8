import { expect, it } from 'vitest';
import { liveSubscriptions } from './live-subscriptions.ts';

const subscription = (id: string, status = 'active', tier: string | null = 'pro', createdAt = 1) => ({
  id,
  status,
  tier,
  createdAt,
  endedAt: status === 'ended' ? 5 : null,
});

it('a checkout acts first on what has a tier, then on what is paid, then on what is oldest, in whatever order it is listed', () => {
  const inOrder = [
    subscription('old'),
    subscription('a', 'active', 'pro', 2),
    subscription('b', 'active', 'pro', 2),
    subscription('trial', 'trialing'),
    subscription('late', 'past_due'),
    subscription('unpaid', 'unpaid'),
    subscription('paused', 'paused'),
    subscription('new word', 'constructor'),
    subscription('begun', 'incomplete'),
    subscription('support', 'active', null),
    subscription('other support', 'past_due', null),
  ];
  const over = [
    subscription('gone', 'canceled'),
    subscription('out', 'incomplete_expired'),
    subscription('over', 'ended'),
  ];
  const idsOf = (listed: readonly ReturnType<typeof subscription>[]) =>
    liveSubscriptions(listed).map(({ id }) => id);
  const expected = inOrder.map(({ id }) => id);
  expect(idsOf([...over, ...inOrder])).toEqual(expected);
  expect(idsOf([...inOrder, ...over].reverse())).toEqual(expected);
});
