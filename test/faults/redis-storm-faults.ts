import { rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Redis } from 'ioredis';
import { type RedisServer, type TcpProxy, waitUntil } from '../support/services.ts';
import type { Dice } from './redis-dice.ts';
import { APPEND_ONLY, keysOfOrg, restarted } from './redis-servers.ts';
import type { ThreeMasters } from './redis-three-masters.ts';

/** What every storm goes by. */
export interface Weather {
  readonly dice: Dice;
  readonly orgs: readonly string[];
  /** To be told right before and right after counts of these orgs are lost. */
  readonly loses: (orgs: readonly string[]) => void;
}

/** Over one Redis. */
export interface NodeWeather extends Weather {
  /** Keeps all that it acknowledged in its append-only file; another one after each restart. */
  redis: RedisServer;
  /** A link for each process. */
  readonly links: readonly TcpProxy[];
  /** An operator's console. */
  readonly console: Redis;
}

/** Over a Redis Cluster, whose masters keep what they acknowledged as well. */
export interface ClusterWeather extends Weather {
  readonly cluster: ThreeMasters;
}

/** Strikes, and has healed what it injured when it resolves. */
export type Fault<W extends Weather> = (weather: W) => Promise<void>;
export type Faults<W extends Weather> = Readonly<Record<string, Fault<W>>>;

const oneOf = <T>(dice: Dice, all: readonly T[]) => all[Math.floor(dice.next() * all.length)] as T;

async function injured(links: readonly TcpProxy[], dice: Dice, injure: (link: TcpProxy) => void) {
  for (const link of links) injure(link);
  await dice.chance(10);
  // What was held back or swallowed belongs to connections that are gone.
  for (const link of links) link.cut();
  for (const link of links) link.restore();
}

async function restart(weather: NodeWeather, meanwhile: () => void = () => {}): Promise<void> {
  await weather.redis.kill('SIGKILL');
  meanwhile();
  weather.redis = await restarted(weather.redis, APPEND_ONLY);
}

/** After these Redis has everything that it acknowledged. */
export const harmless: Faults<NodeWeather> = {
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
export const losing: Faults<NodeWeather> = {
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

/** After these every master has everything that it acknowledged. */
export const harmlessOnCluster: Faults<ClusterWeather> = {
  async 'a master hangs'({ cluster, dice }) {
    const master = anyMaster(dice);
    await cluster.signal(master, 'SIGSTOP');
    await dice.chance(15);
    await cluster.signal(master, 'SIGCONT');
  },
  async 'a master forgets scripts and functions'({ cluster, dice }) {
    const console = cluster.consoleOf(anyMaster(dice));
    await console.call('FUNCTION', 'FLUSH');
    await console.script('FLUSH');
  },
  async 'a master throws its clients out'({ cluster, dice }) {
    await cluster.consoleOf(anyMaster(dice)).call('CLIENT', 'KILL', 'TYPE', 'normal', 'SKIPME', 'yes');
  },
  async "a master's memory is full"({ cluster, dice }) {
    const console = cluster.consoleOf(anyMaster(dice));
    await console.config('SET', 'maxmemory', '1');
    await dice.chance(10);
    await console.config('SET', 'maxmemory', '0');
  },
  async 'a slot moves'({ cluster, dice, orgs }) {
    const { master, slot } = await waitUntil('an org has counts', () =>
      cluster.placeOf(oneOf(dice, orgs)).catch(() => null),
    );
    await cluster.moveSlot(slot, master, (master + 1 + Math.floor(2 * dice.next())) % 3, () =>
      dice.chance(1),
    );
  },
  async 'a master is killed and starts anew'({ cluster, dice }) {
    const master = anyMaster(dice);
    await cluster.kill(master);
    await dice.chance(15);
    await cluster.restart(master);
  },
};

/** After these a master lacks some of what it acknowledged. */
export const losingOnCluster: Faults<ClusterWeather> = {
  'a master is flushed': ({ cluster, dice, orgs, loses }) =>
    around(loses, orgs, () => cluster.consoleOf(anyMaster(dice)).flushall()),
  async 'a master starts anew with nothing'({ cluster, dice, orgs, loses }) {
    const master = anyMaster(dice);
    await around(loses, orgs, async () => {
      await cluster.kill(master);
      await cluster.restart(master, 'empty');
    });
  },
};

const anyMaster = (dice: Dice) => Math.floor(3 * dice.next());

/** So many of these faults, each of them at least once while there are enough, in an order of the dice. */
export function forecast<W extends Weather>(faults: Faults<W>, dice: Dice, count: number) {
  const coming: [string, Fault<W>][] = [];
  while (coming.length < count) {
    const rest = Object.entries(faults);
    while (rest.length > 0) coming.push(...rest.splice(Math.floor(dice.next() * rest.length), 1));
  }
  return coming.slice(0, count);
}
