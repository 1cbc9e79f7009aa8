import type { CounterReading } from '@tollgate/core';
import type { Redis } from 'ioredis';
import { waitUntil } from '../support/services.ts';
import type { Created, Framework } from './process-frameworks.ts';
import { type Host, rowsOf } from './process-host.ts';

type Counts = Omit<CounterReading, 'countAgeMs'>;

/** Where a create is sent: the host in one process or another. */
export interface Door {
  readonly url: string;
}

/** The host on one framework, whose processes share rows and counters. One of them is this process, and lives on. */
export interface Site {
  readonly here: Host;
  /**
   * `POST`s a create; answers its status, null when the connection broke.
   * @param answer - what the handler answers, 201 by default; it writes a row unless that is a 4xx or 5xx
   * @param what - a device by default
   */
  create(at: Door, org: string, answer?: number, what?: Created): Promise<number | null>;
  /** Creates here until it is refused; answers how many were let in. */
  fillUp(org: string): Promise<number>;
  /** Tries to create, here by default, until it is let in; answers when that was, and the statuses of the tries before. */
  whenFree(org: string, at?: Door): Promise<{ readonly at: number; readonly refusals: ReadonlySet<number> }>;
  /** How many rows the host has. */
  rows(org: string): Promise<number>;
  /** Gives an org so many rows, all of them counted, whatever it had before. */
  haveRows(org: string, rows: number): Promise<void>;
  /** What the store says, without anybody counting rows. */
  reading(org: string): Promise<Counts>;
  settles(org: string, expected: Partial<Counts>): Promise<void>;
  /** Waits until the leases that exist now, and are not renewed, have run out: one that is made now, on the same clock, ends last. */
  leasesRunOut(): Promise<void>;
}

export function siteOf(framework: Framework, here: Host, redis: Redis): Site {
  let markers = 0;

  async function create(
    at: Door,
    org: string,
    answer = 201,
    what: Created = 'devices',
  ): Promise<number | null> {
    const headers = { 'x-org': org, 'x-answer': `${answer}` };
    try {
      const response = await fetch(`${at.url}/${what}`, { method: 'POST', headers });
      await response.arrayBuffer();
      return response.status;
    } catch {
      return null;
    }
  }

  async function reading(org: string): Promise<Counts> {
    const [found] = await here.counters.read({ org, counters: [{ key: 'devices', window: 'lifetime' }] });
    const { committed, held, uncertain } = found ?? { committed: -1, held: -1, uncertain: -1 };
    return { committed, held, uncertain };
  }

  async function settles(org: string, expected: Partial<Counts>): Promise<void> {
    await waitUntil(
      `${org} on ${framework} is ${JSON.stringify(expected)}`,
      async () => {
        const now: Record<string, number> = { ...(await reading(org)) };
        return Object.entries(expected).every(([name, units]) => now[name] === units);
      },
      { everyMs: 5 },
    );
  }

  return {
    here,
    create,
    async fillUp(org) {
      for (let admitted = 0; ; admitted += 1) {
        const status = await create(here, org);
        if (status === 429) return admitted;
        if (status !== 201) throw new Error(`A create was answered ${status}.`);
      }
    },
    async whenFree(org, door = here) {
      const refusals = new Set<number>();
      const at = await waitUntil(
        `a create of ${org} on ${framework} is let in`,
        async () => {
          const status = await create(door, org);
          if (status === 201) return performance.now();
          refusals.add(status ?? 0);
          return null;
        },
        { everyMs: 5 },
      );
      return { at, refusals };
    },
    rows: (org) => redis.llen(rowsOf(framework, org)),
    async haveRows(org, rows) {
      const table = rowsOf(framework, org);
      await redis.del(table);
      if (rows > 0) await redis.rpush(table, ...Array.from({ length: rows }, (_, row) => `${row}`));
      await here.billing.recount({ org });
    },
    reading,
    settles,
    async leasesRunOut() {
      markers += 1;
      const org = `marker-${markers}`;
      await here.billing.reserve({ org, charges: [{ key: 'devices' }] });
      await settles(org, { held: 0 });
    },
  };
}
