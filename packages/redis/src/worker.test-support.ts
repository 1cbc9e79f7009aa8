import { count, openStore, reserve, settle } from './faults.test-support.ts';

/**
 * A process with a store of its own, for tests that need several or that kill one.
 * `race <url> <tries>`: tries to reserve one unit at limit 1000, 200 tries at a time, commits what it got and prints how many.
 * `hold <url> <leaseMs> <units>`: reserves and waits. `late <url> <leaseMs>`: reserves, and commits when a line arrives.
 */
const [task, url = '', first = '0', second = '0'] = process.argv.slice(2);
const counters = openStore({ url, timeoutMs: 10_000 });
const charges = [
  { key: 'devices', window: 'lifetime', amount: 1, limit: 1_000, onUnknown: 'uncertain', forgetAt: null },
] as const;
const say = (text: string) => process.stdout.write(`${text}\n`);
const told = () => new Promise<void>((resolve) => process.stdin.once('data', () => resolve()));

if (task === 'race') {
  say('ready');
  await told();
  let admitted = 0;
  let tried = 0;
  const worker = async () => {
    while (tried < Number(first)) {
      const id = `${process.pid}-${tried++}`;
      const { outcome } = await reserve(counters, id, { charges });
      if (outcome === 'reserved') {
        admitted += 1;
        await settle(counters, id, 'commit', { charges });
      } else if (outcome !== 'denied') throw new Error(outcome);
    }
  };
  await Promise.all(Array.from({ length: 200 }, worker));
  say(`admitted ${admitted}`);
} else if (task === 'hold') {
  for (let made = 0; made < Number(second); made += 1)
    await reserve(counters, `${process.pid}-${made}`, { charges, leaseMs: Number(first) });
  say('holding');
  await told();
} else if (task === 'late') {
  await reserve(counters, 'late', { charges, leaseMs: Number(first) });
  say('holding');
  await told();
  say(JSON.stringify(await settle(counters, 'late', 'commit', { charges })));
} else if (task === 'count') await count(counters, Number(first));
await counters.close();
process.exit(0);
