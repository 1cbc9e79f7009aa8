import fc from 'fast-check';
import { afterEach, describe, expect, it } from 'vitest';
import { createWorld, type Process, type World } from './subscription-world.test-support.ts';

const worlds: World[] = [];
afterEach(async () => {
  for (const world of worlds.splice(0)) await world.close();
});

async function fresh(): Promise<World> {
  const world = await createWorld();
  worlds.push(world);
  return world;
}

/** An org that bought, moved, failed to pay and paid: nothing of it delivered. */
async function history(world: World): Promise<{ id: string; events: readonly string[] }> {
  const { subscription } = await world.checkout({ org: 'acme', tier: 'pro', actor: 'alice' });
  const id = world.sandbox.confirm(subscription.externalId).subscriptionId ?? '';
  world.sandbox.setStatus(id, 'past_due');
  world.sandbox.setStatus(id, 'canceled');
  return { id, events: world.sandbox.events().map((event) => event.id) };
}

function permutations<T>(items: readonly T[]): T[][] {
  if (items.length <= 1) return [[...items]];
  return items.flatMap((item, index) =>
    permutations(items.filter((_, other) => other !== index)).map((rest) => [item, ...rest]),
  );
}

/** The state without what counts writes. */
async function stateOf(world: World, id: string) {
  const { version: _, ...state } = (await world.stored(id)) ?? { version: 0 };
  return state;
}

describe('W3: a history of events', () => {
  it('ends in one state in all orders of its six events: plain, all doubled, and with the first one come again last', async () => {
    const base = await fresh();
    const { id, events } = await history(base);
    expect(events).toHaveLength(6);
    const ends = new Set<string>();
    for (const order of permutations(events)) {
      const runs = [
        order,
        [...order, ...order],
        ...(order[0] === undefined ? [] : [[order[0], ...order, order[0]]]),
      ];
      for (const run of runs) {
        const end = await replayed(base, run, id);
        ends.add(end);
      }
    }
    expect([...ends]).toHaveLength(1);
    expect(JSON.parse([...ends][0] ?? '')).toMatchObject({ status: 'canceled', tier: 'pro', org: 'acme' });
  }, 120_000);

  /** The stored state after a run on an empty store that knows the customer only. */
  async function replayed(base: World, run: readonly string[], id: string): Promise<string> {
    const { memoryBillingRepository } = await import('../memory/memory-billing-repository.ts');
    const repository = memoryBillingRepository({ clock: base.clock });
    const [customer] = base.sandbox.contents().customers;
    await repository.linkCustomer({ org: 'acme', provider: 'sandbox', customerId: customer?.id ?? '' });
    const alone = base.process({ repository });
    for (const event of run) await alone.deliver(event);
    const stored = await repository.findSubscription({ provider: 'sandbox', id });
    return JSON.stringify({ ...stored, version: 0 });
  }

  type Step = 'move' | 'fail' | 'pay' | 'renew' | 'end' | 'deliver' | 'redeliver' | 'burst';
  const steps = fc.array(
    fc.constantFrom<Step>('move', 'fail', 'pay', 'renew', 'deliver', 'deliver', 'redeliver', 'burst', 'end'),
    { minLength: 5, maxLength: 30 },
  );

  it('ends in the provider’s state however deliveries interleave with what happens there, in three processes', async () => {
    await fc.assert(
      fc.asyncProperty(steps, fc.infiniteStream(fc.nat()), async (plan, numbers) => {
        const world = await fresh();
        const number = () => numbers.next().value ?? 0;
        const processes = [world, world.process(), world.process()];
        const anywhere = (): Process => processes[number() % 3] ?? world;
        const { subscription } = await world.checkout({ org: 'acme', tier: 'pro', actor: 'alice' });
        const id = world.sandbox.confirm(subscription.externalId).subscriptionId ?? '';
        const current = () => world.sandbox.contents().subscriptions.find((candidate) => candidate.id === id);
        const events = () => world.sandbox.events().map((event) => event.id);
        const some = () => events()[number() % events().length] ?? '';
        let hasEnded = false;
        for (const step of plan) {
          world.clock.advance(1_000);
          if (step === 'deliver' || step === 'redeliver') await anywhere().deliver(some());
          else if (step === 'burst')
            await Promise.allSettled(
              [some(), some(), some(), some()].map((event) => anywhere().deliver(event)),
            );
          else if (!hasEnded) {
            if (step === 'move')
              await world.sandbox.changeSubscription({
                subscriptionId: id,
                tier: number() % 2 === 0 ? 'pro' : 'business',
                idempotencyKey: `m${number()}${world.clock.now()}`,
              });
            if (step === 'fail') world.sandbox.setStatus(id, 'past_due');
            if (step === 'pay') world.sandbox.setStatus(id, 'active');
            if (step === 'renew') world.sandbox.renew(id);
            if (step === 'end') world.sandbox.setStatus(id, 'canceled');
            hasEnded = step === 'end';
          }
        }
        for (const event of events().sort(() => (number() % 2 === 0 ? 1 : -1)))
          await anywhere().deliver(event);
        const {
          version: _,
          pastDueAt,
          provider,
          org,
          ...stored
        } = (await world.stored(id)) ?? { version: 0, pastDueAt: null, provider: '', org: '' };
        expect({ provider, org, stored }).toEqual({ provider: 'sandbox', org: 'acme', stored: current() });
        expect(pastDueAt !== null).toBe(current()?.status === 'past_due');
        await worlds.pop()?.close();
      }),
      { numRuns: 150 },
    );
  }, 120_000);
});

describe('W10: a sync', () => {
  it('reaches the state of the full history whatever set of events was lost', async () => {
    const base = await fresh();
    const { id, events } = await history(base);
    for (const event of events) await base.deliver(event);
    const full = await stateOf(base, id);
    for (let set = 0; set < 2 ** events.length; set += 1) {
      const { memoryBillingRepository } = await import('../memory/memory-billing-repository.ts');
      const repository = memoryBillingRepository({ clock: base.clock });
      const [customer] = base.sandbox.contents().customers;
      await repository.linkCustomer({ org: 'acme', provider: 'sandbox', customerId: customer?.id ?? '' });
      const alone = base.process({ repository });
      for (const [index, event] of events.entries())
        if (((set >> index) & 1) === 1) await alone.deliver(event);
      expect(await alone.sync('all')).toMatchObject({ failed: 0, unknown: 0 });
      const { version: _, ...healed } = (await repository.findSubscription({ provider: 'sandbox', id })) ?? {
        version: 0,
      };
      expect(healed).toEqual(full);
    }
  });
});
