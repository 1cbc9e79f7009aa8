import { expect, it } from 'vitest';
import { read } from './faults.test-support.ts';
import { clientWhoseCalls, server, store } from './outage-scene.test-support.ts';

const READ = { counters: [{ key: 'devices', window: 'lifetime' }] };

async function crowd(hashTags = 1) {
  const redis = await server();
  const sent = { batches: 0 };
  const client = clientWhoseCalls(redis, (send) => {
    sent.batches += 1;
    return send();
  });
  const counters = store({ client, hashTags });
  await read(counters);
  /** Asks for so many orgs' counters, and answers how many batches had left before this turn of the event loop ended. */
  async function ask(count: number, orgs: number) {
    const before = sent.batches;
    const asked = Array.from({ length: count }, (_, i) => counters.read({ org: `org-${i % orgs}`, ...READ }));
    const atOnce = sent.batches - before;
    await Promise.all(asked);
    return { atOnce, inAll: sent.batches - before };
  }
  return ask;
}

it('Redis begins with the first of a crowd while the rest is still being asked, and the next crowd takes fewer batches', async () => {
  const ask = await crowd();
  expect(await ask(200, 200), 'the rest waits for one of the two').toEqual({ atOnce: 2, inAll: 3 });
  expect(await ask(180, 180)).toEqual({ atOnce: 1, inAll: 2 });
});

it('one org keeps Redis busy for too short a time to send a second batch ahead', async () => {
  const ask = await crowd();
  await ask(40, 1);
  expect(await ask(40, 1)).toEqual({ atOnce: 1, inAll: 2 });
});

it('few wait for each other until the turn of the event loop ends', async () => {
  const ask = await crowd();
  expect(await ask(15, 15)).toEqual({ atOnce: 0, inAll: 1 });
});

it('of six hash tags each has one batch on its way, since the others keep Redis busy', async () => {
  const ask = await crowd(6);
  expect(await ask(200, 200)).toEqual({ atOnce: 6, inAll: 12 });
});
