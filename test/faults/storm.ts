import type { CounterStore } from '@tollgate/core';
import { expect } from 'vitest';
import type { Framework } from '../guard/guarded-app.ts';
import { type TcpProxy, waitUntil } from '../support/services.ts';
import { appOn, type CreateOptions, frameworks } from './redis-app.ts';
import { type Dice, dice } from './redis-dice.ts';
import { hostRows } from './redis-host-rows.ts';
import { answersAgain } from './redis-servers.ts';

/** One storm each. */
export const SEEDS = Array.from(
  { length: Number(process.env['TOLLGATE_STORMS'] ?? 3) },
  (_, seed) => seed + 1,
);
const ORGS = [...'abcdefghijklmnopqrst'].map((letter) => `org-${letter}`);
const LIMITS = { devices: 5, zones: 2, door_opens: 500 };
const KEYS = ['devices', 'zones'] as const;
const CHARGED: readonly NonNullable<CreateOptions['keys']>[] = [
  ['devices'],
  ['devices'],
  ['zones'],
  ['zones', 'devices'],
  ['door_opens', 'devices'],
  ['door_opens'],
];
const WORKERS = 24;
const FAULTS = 10;
/** Longer than a busy machine stands still: a handler that outlives its lease may be one too many (Q1x). */
const LEASE_MS = 8_000;

const DECIDED = new Set(['201 undefined', '422 undefined', '429 quota_exceeded']);
const UNDECIDED = new Set(['503 quota_unavailable', '409 request_in_progress']);

/** What every storm goes by. */
export interface Weather {
  readonly dice: Dice;
  readonly orgs: readonly string[];
  /** To be told right before and right after counts of these orgs are lost. */
  readonly loses: (orgs: readonly string[]) => void;
}

/** Strikes, and has healed what it injured when it resolves. */
export type Fault<W extends Weather> = (weather: W) => Promise<void>;
export type Faults<W extends Weather> = Readonly<Record<string, Fault<W>>>;

export const oneOf = <T>(dice: Dice, all: readonly T[]) => all[Math.floor(dice.next() * all.length)] as T;

/** Injures links for a while. */
export async function injured(
  links: readonly TcpProxy[],
  dice: Dice,
  injure: (link: TcpProxy) => void,
): Promise<void> {
  for (const link of links) injure(link);
  await dice.chance(10);
  // What was held back or swallowed belongs to connections that are gone.
  for (const link of links) link.cut();
  for (const link of links) link.restore();
}

/** Faults of the links of single processes, and of all. */
export const onLinks: Faults<Weather & { readonly links: readonly TcpProxy[] }> = {
  'a link is cut': ({ links, dice }) => injured([oneOf(dice, links)], dice, (link) => link.cut()),
  'all links are cut': ({ links, dice }) => injured(links, dice, (link) => link.cut()),
  'replies are lost': ({ links, dice }) =>
    injured([oneOf(dice, links)], dice, (link) => link.dropReplies(true)),
  'links are slow': ({ links, dice }) =>
    injured(links, dice, (link) => link.delay(Math.floor(20 + 130 * dice.next()))),
};

export async function around(loses: Weather['loses'], orgs: readonly string[], lose: () => Promise<unknown>) {
  loses(orgs);
  await lose();
  loses(orgs);
}

/** So many of these faults, each of them at least once while there are enough, in an order of the dice. */
function forecast<W extends Weather>(faults: Faults<W>, dice: Dice, count: number) {
  const coming: [string, Fault<W>][] = [];
  while (coming.length < count) {
    const rest = Object.entries(faults);
    while (rest.length > 0) coming.push(...rest.splice(Math.floor(dice.next() * rest.length), 1));
  }
  return coming.slice(0, count);
}

interface Create {
  readonly org: string;
  readonly keys: readonly string[];
  isRunning: boolean;
  /** It ran when Redis lost what held its units: its row may be beyond the limit. */
  isExcused: boolean;
}

/**
 * Processes of a host, one on each framework, under a mixed load while one fault follows the other; it ends when each is answered again.
 *
 * @param stores - one for each framework
 * @param weatherOf - what the faults injure
 */
export async function storm<W extends Weather>(
  seed: number,
  faults: Faults<W>,
  stores: readonly CounterStore[],
  weatherOf: (weather: Weather) => W,
) {
  const rolls = dice(seed);
  const host = hostRows();
  const apps = await Promise.all(
    stores.map((store, i) =>
      appOn(frameworks[i % frameworks.length] as Framework, store, {
        host,
        limits: LIMITS,
        leaseMs: LEASE_MS,
      }),
    ),
  );
  const pick = <T>(all: readonly T[]) => oneOf(rolls, all);

  const creates = new Set<Create>();
  const opened = new Map<string, number>();
  const answers = new Map<string, number>();
  const broken = new Set<string>();
  const weather = weatherOf({
    dice: rolls,
    orgs: ORGS,
    loses(orgs) {
      for (const create of creates)
        if (create.isRunning && orgs.includes(create.org)) create.isExcused = true;
    },
  });

  function judge(org: string): void {
    for (const key of KEYS) {
      const excused = [...creates].filter(
        (one) => one.isExcused && one.org === org && one.keys.includes(key),
      ).length;
      const most = LIMITS[key] + excused;
      if (host.of(org, key) > most) broken.add(`${org} has ${host.of(org, key)} ${key}, ${most} allowed`);
    }
  }

  async function create(org: string): Promise<void> {
    const keys = pick(CHARGED);
    const once = rolls.next() < 0.3 ? { idempotencyKey: `key-${rolls.next()}` } : {};
    const answer = rolls.next() < 0.2 ? 422 : 201;
    // Nobody's limit of these is reached: each that is let through has to be counted.
    const policy = keys.every((key) => key === 'door_opens') && rolls.next() < 0.5 ? 'open' : 'closed';
    for (let tries = 1; tries <= 4; tries += 1) {
      const one: Create = { org, keys, isRunning: true, isExcused: false };
      creates.add(one);
      const outcome = await pick(apps).create({ org, keys, answer, policy, until: rolls.chance(2), ...once });
      one.isRunning = false;
      if (outcome.status !== 201) creates.delete(one);
      judge(org);
      const said = `${outcome.status} ${outcome.code}`;
      answers.set(said, (answers.get(said) ?? 0) + 1);
      if (outcome.status === 201 && keys.includes('door_opens')) opened.set(org, (opened.get(org) ?? 0) + 1);
      if (DECIDED.has(said)) return;
      if (!UNDECIDED.has(said)) broken.add(`a create was answered ${said}`);
      await rolls.chance(1);
    }
  }

  /** Whoever cannot be told of a delete, or of a recount, now: nothing depends on it. */
  const tolerated = (error: { code?: string }) => {
    if (error.code !== 'quota_unavailable') broken.add(`an operator was told ${error.code ?? error}`);
  };
  async function remove(org: string): Promise<void> {
    const key = pick(KEYS);
    if (host.remove(org, key)) await pick(apps).billing.release({ org, key }).catch(tolerated);
  }
  const recount = async (org: string) => void (await pick(apps).billing.recount({ org }).catch(tolerated));

  let isOver = false;
  const load = Array.from({ length: WORKERS }, async () => {
    while (!isOver) {
      const roll = rolls.next();
      const act = roll < 0.8 ? create : roll < 0.97 ? remove : recount;
      // Some orgs are busier than others.
      await act(ORGS[Math.floor(ORGS.length * rolls.next() ** 2)] as string);
    }
  });
  const struck: string[] = [];
  try {
    for (const [name, fault] of forecast(faults, rolls, FAULTS)) {
      struck.push(name);
      await fault(weather);
      await rolls.chance(25);
    }
  } finally {
    isOver = true;
    await Promise.all(load);
  }
  for (const app of apps) await answersAgain(app);
  return { host, apps, broken: [...broken], struck, answers, opened };
}

export type Storm = Awaited<ReturnType<typeof storm>>;

/** Nothing is held any more: what every process still had to say has been said. */
async function atRest({ apps, struck }: Storm) {
  for (const app of apps) {
    for (const org of ORGS) {
      for (const key of KEYS) {
        await waitUntil(
          `nothing of ${org} is held (${struck})`,
          async () => ((await app.reading(org, key))?.held ?? 0) === 0,
          { timeoutMs: LEASE_MS + 10_000 },
        );
      }
    }
  }
}

async function doorsOpened({ apps }: Storm, org: string): Promise<number> {
  const { items } = (await apps[0]?.billing.usage({ org })) ?? { items: [] };
  return items.find(({ key }) => key === 'door_opens')?.current ?? Number.NaN;
}

async function fillsUpToTheLimit({ apps, host, struck }: Storm) {
  for (const [i, org] of ORGS.entries()) {
    const app = apps[i % apps.length];
    await app?.billing.recount({ org });
    for (const key of KEYS) {
      await app?.countsTheRows(org, key);
      const room = Math.max(0, LIMITS[key] - host.of(org, key));
      expect(await app?.fillUp({ org, keys: [key] }), `${org} ${key} (${struck})`).toBe(room);
    }
  }
}

async function expectNothingTwice(after: Storm): Promise<void> {
  for (const org of ORGS) {
    const most = after.opened.get(org) ?? 0;
    expect(await doorsOpened(after, org), `${org} (${after.struck})`).toBeLessThanOrEqual(most);
  }
}

/** The store kept what it acknowledged: no limit is overrun, no row is forgotten and no room is lost. */
export async function expectKept(after: Storm): Promise<void> {
  const { apps, host, broken, struck } = after;
  expect(broken, String(struck)).toEqual([]);
  await atRest(after);
  for (const org of ORGS) {
    for (const key of KEYS) {
      const { committed, uncertain } = (await apps[0]?.reading(org, key)) ?? { committed: 0, uncertain: 0 };
      expect(committed + uncertain, `${org} ${key} (${struck})`).toBeGreaterThanOrEqual(host.of(org, key));
    }
  }
  await expectNothingTwice(after);
  await fillsUpToTheLimit(after);
}

/** Beside that, each unit of metered use is counted. */
export async function expectExact(after: Storm): Promise<void> {
  await expectKept(after);
  for (const org of ORGS) {
    await waitUntil(`all of ${org} is counted (${after.struck})`, async () => {
      expect(await doorsOpened(after, org)).toBe(after.opened.get(org) ?? 0);
      return true;
    });
  }
}

/** The store lost some of it: only creates that ran then exceed a limit, nothing is counted twice and counts are the truth again. */
export async function expectHealed(after: Storm): Promise<void> {
  const { broken, struck } = after;
  expect(broken, String(struck)).toEqual([]);
  await atRest(after);
  await expectNothingTwice(after);
  await fillsUpToTheLimit(after);
}
