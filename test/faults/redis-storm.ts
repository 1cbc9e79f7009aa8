import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import type { RedisServer, TcpProxy } from '../support/services.ts';
import type { Dice } from './redis-dice.ts';
import { APPEND_ONLY, keysOfOrg, restarted } from './redis-servers.ts';

/** What a storm can injure. */
export interface Weather {
  readonly dice: Dice;
  readonly orgs: readonly string[];
  /** Keeps all that it acknowledged in its append-only file; another one after each restart. */
  redis: RedisServer;
  /** A link for each process. */
  readonly links: readonly TcpProxy[];
  /** An operator's console. */
  readonly console: Redis;
  /** To be told right before and right after Redis loses what it holds of these orgs. */
  readonly loses: (orgs: readonly string[]) => void;
}

/** Strikes, and has healed what it injured when it resolves. */
export type Fault = (weather: Weather) => Promise<void>;

const oneOf = <T>(dice: Dice, all: readonly T[]) => all[Math.floor(dice.next() * all.length)] as T;

async function injured(links: readonly TcpProxy[], dice: Dice, injure: (link: TcpProxy) => void) {
  for (const link of links) injure(link);
  await dice.chance(10);
  // What was held back or swallowed belongs to connections that are gone.
  for (const link of links) link.cut();
  for (const link of links) link.restore();
}

async function restart(weather: Weather, meanwhile: () => void = () => {}): Promise<void> {
  await weather.redis.kill('SIGKILL');
  meanwhile();
  weather.redis = await restarted(weather.redis, APPEND_ONLY);
}

/** After these Redis has everything that it acknowledged. */
export const harmless: Readonly<Record<string, Fault>> = {
  async 'Redis hangs'({ redis, dice }) {
    await redis.kill('SIGSTOP');
    await dice.chance(15);
    await redis.kill('SIGCONT');
  },
  'a link is cut': ({ links, dice }) => injured([oneOf(dice, links)], dice, (link) => link.cut()),
  'all links are cut': ({ links, dice }) => injured(links, dice, (link) => link.cut()),
  'replies are lost': ({ links, dice }) =>
    injured([oneOf(dice, links)], dice, (link) => link.dropReplies(true)),
  'links are slow': ({ links, dice }) =>
    injured(links, dice, (link) => link.delay(Math.floor(20 + 130 * dice.next()))),
  async 'scripts and functions are forgotten'({ console }) {
    await console.call('FUNCTION', 'FLUSH');
    await console.script('FLUSH');
  },
  async 'clients are thrown out'({ console }) {
    await console.call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  },
  async 'memory is full'({ console, dice }) {
    await console.config('SET', 'maxmemory', '1');
    await dice.chance(10);
    await console.config('SET', 'maxmemory', '0');
  },
  'Redis is killed and starts anew': (weather) => restart(weather),
};

/** After these Redis lacks some of what it acknowledged, or cannot be sure that it does not. */
export const losing: Readonly<Record<string, Fault>> = {
  'everything is flushed': ({ console, orgs, loses }) => around(loses, orgs, () => console.flushall()),
  async "an org's keys are deleted"({ console, dice, orgs, loses }) {
    const org = oneOf(dice, orgs);
    const keys = await keysOfOrg(console, org);
    if (keys.length > 0) await around(loses, [org], () => console.del(...keys));
  },
  async 'a key is evicted'({ console, dice, orgs, loses }) {
    const org = oneOf(dice, orgs);
    const keys = await keysOfOrg(console, org);
    if (keys.length > 0) await around(loses, [org], () => console.del(oneOf(dice, keys)));
  },
  'Redis starts anew with nothing': (weather) =>
    around(weather.loses, weather.orgs, () =>
      restart(weather, () =>
        rmSync(join(weather.redis.dir, 'appendonlydir'), { recursive: true, force: true }),
      ),
    ),
  // It has everything, and cannot know that.
  async 'Redis is somebody else for a while'({ console, dice }) {
    await console.replicaof('127.0.0.1', 1);
    await dice.chance(10);
    await console.replicaof('NO', 'ONE');
  },
};

async function around(loses: Weather['loses'], orgs: readonly string[], lose: () => Promise<unknown>) {
  loses(orgs);
  await lose();
  loses(orgs);
}

/** So many of these faults, each of them at least once while there are enough, in an order of the dice. */
export function forecast(faults: Readonly<Record<string, Fault>>, dice: Dice, count: number) {
  const coming: [string, Fault][] = [];
  while (coming.length < count) {
    const rest = Object.entries(faults);
    while (rest.length > 0) coming.push(...rest.splice(Math.floor(dice.next() * rest.length), 1));
  }
  return coming.slice(0, count);
}
