import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it, onTestFinished, vi } from 'vitest';
import { openAppQuotas } from '../catalog/openapp.ts';
import { metered } from '../catalog/quota.ts';
import type { BillingRepository } from '../ports/billing-repository.ts';
import type { ExactUsage } from './evaluations.ts';
import { DAY, HOUR, lifecycleOnMemory, START, testHost, testLifecycle } from './lifecycle.test-support.ts';

/** Orgs with `rows` devices at a limit of 3, and a host that suspends, restores and, given `removes`, removes. */
function overCapacity({
  orgs = ['acme'],
  rows = 5,
  removes = false,
  callbackTimeoutMs = 1_000,
}: {
  readonly orgs?: readonly string[];
  readonly rows?: number;
  readonly removes?: boolean;
  readonly callbackTimeoutMs?: number;
} = {}) {
  const host = testHost();
  for (const org of orgs) {
    for (let n = 1; n <= rows; n += 1) host.add(org, 'devices', `d${n}`, START - 10 * DAY + n);
  }
  const called = testLifecycle({ ...(removes ? { host } : {}), callbackTimeoutMs });
  const one = lifecycleOnMemory({ lifecycle: called.lifecycle }, { host });
  onTestFinished(() => one.degradation.close());
  const sweepAt = (at: number) => {
    one.clock.at = at;
    return one.degradation.sweep();
  };
  /** Twice an interval apart: what is due at `at` is done. */
  const sweepTwice = async (at: number) => {
    await sweepAt(at);
    return await sweepAt(at + HOUR);
  };
  const begin = async () => {
    for (const org of orgs) await one.degradation.report(org);
  };
  const peer = (repository: BillingRepository = one.repository, usage: ExactUsage = one.usage) => {
    const other = lifecycleOnMemory({ lifecycle: called.lifecycle }, { ...one, repository, usage });
    onTestFinished(() => other.degradation.close());
    return other;
  };
  return { ...one, ...called, sweepAt, sweepTwice, begin, peer };
}

const code = (expected: string) => expect.objectContaining({ code: expected });

describe('a sweep', () => {
  it('does nothing to rows while the org is warned', async () => {
    const { begin, sweepTwice, calls } = overCapacity();
    await begin();
    expect(await sweepTwice(START + 13 * DAY)).toMatchObject({ orgs: 1, suspended: 0, failed: 0 });
    expect(calls).toEqual([]);
  });

  it('D4: suspends the flagged rows once degraded, at the second sighting, and does so once', async () => {
    const { begin, sweepAt, calls, keys, off } = overCapacity();
    await begin();
    expect(await sweepAt(START + 14 * DAY)).toMatchObject({ suspended: 0 });
    expect(await sweepAt(START + 14 * DAY + HOUR - 1)).toMatchObject({ suspended: 0 });
    expect(await sweepAt(START + 14 * DAY + HOUR)).toMatchObject({ suspended: 2 });
    expect(calls).toEqual(['suspend acme/devices/d5', 'suspend acme/devices/d4']);
    expect(new Set(keys).size).toBe(2);
    for (const day of [15, 20, 28, 60]) await sweepAt(START + day * DAY);
    expect(calls).toHaveLength(2);
    expect([...off]).toEqual(['acme/devices/d5', 'acme/devices/d4']);
  });

  it('D4: suspends nothing because a clock went ahead for a while', async () => {
    const { begin, clock, degradation, calls } = overCapacity();
    await begin();
    // Given the org, so that it is looked at though the list says it is due only when the clock was ahead.
    const look = async (at: number) => {
      clock.at = at;
      expect(await degradation.sweep({ orgs: ['acme'] })).toMatchObject({ orgs: 1 });
    };
    await look(START + 14 * DAY + HOUR);
    await look(START + 13 * DAY + 2 * HOUR);
    await look(START + 13 * DAY + 23 * HOUR);
    // The sighting was taken back: the next one is a first one again.
    await look(START + 14 * DAY + 2 * HOUR);
    expect(calls).toEqual([]);
    await look(START + 14 * DAY + 3 * HOUR);
    expect(calls).toHaveLength(2);
  });

  it('D4: suspends nothing because one process is a day ahead of the repository, however often it sweeps', async () => {
    const { begin, clock, calls, repository, host, lifecycle } = overCapacity();
    await begin();
    const ahead = lifecycleOnMemory({ lifecycle }, { host, repository });
    for (let hour = 0; hour < 24; hour += 1) {
      clock.at = START + 13 * DAY + hour * HOUR;
      ahead.clock.at = clock.at + DAY;
      await ahead.degradation.sweep();
    }
    expect(calls).toEqual([]);
  });

  it('D4: removes no late pick too soon because a process whose clock was behind picked it', async () => {
    const { begin, sweepTwice, calls, repository, host, lifecycle, clock } = overCapacity({ removes: true });
    await begin();
    clock.at = START + 27 * DAY;
    const behind = lifecycleOnMemory({ lifecycle }, { host, repository });
    behind.clock.at = START;
    await behind.degradation.setSelectionPolicy({ org: 'acme', policy: 'oldest_first', actor: 'ada' });
    const { flags } = await repository.loadDegradation('acme');
    expect(flags).toMatchObject(['d1', 'd2'].map((id) => ({ id, flaggedAt: START + 27 * DAY })));
    await sweepTwice(START + 27 * DAY);
    await sweepTwice(START + 28 * DAY);
    await sweepTwice(START + 40 * DAY);
    expect(calls.filter((call) => call.startsWith('remove'))).toEqual([]);
    await sweepTwice(START + 41 * DAY + HOUR);
    expect(calls.slice(-2)).toEqual(['remove acme/devices/d1', 'remove acme/devices/d2']);
  });

  it('D4: takes a look for one sighting, however long it lasts', async () => {
    const one = overCapacity();
    const quick = lifecycleOnMemory({ lifecycle: { ...one.lifecycle, sightingMs: 1_000 } }, one);
    onTestFinished(() => quick.degradation.close());
    await one.begin();
    one.clock.at = START + 14 * DAY;
    await quick.degradation.sweep();
    for (let n = 1; n <= 3; n += 1) one.host.add('acme', 'zones', `z${n}`, START + n);
    one.clock.at += 1_000;
    one.hooks.after = async () => {
      one.clock.at += 1_000;
    };
    await quick.degradation.sweep();
    expect(one.calls).toEqual(['suspend acme/devices/d5', 'suspend acme/devices/d4']);
    one.clock.at += 1_000;
    await quick.degradation.sweep();
    expect(one.calls).toContain('suspend acme/zones/z3');
  });

  it('D5: restores everything at once when the org is upgraded, with no sweep needed', async () => {
    const { begin, sweepTwice, setLimit, degradation, calls, off } = overCapacity();
    await begin();
    await sweepTwice(START + 14 * DAY);
    await setLimit('acme', 'devices', 9);
    expect(await degradation.report('acme')).toMatchObject({ stage: 'none', flagged: [] });
    await expect.poll(() => [...off]).toEqual([]);
    expect(calls.slice(2).sort()).toEqual(['restore acme/devices/d4', 'restore acme/devices/d5']);
  });

  it('D5: restores everything when the upgrade is found by a sweep, and then leaves the org alone', async () => {
    const { begin, sweepTwice, sweepAt, setLimit, off, clock } = overCapacity();
    await begin();
    await sweepTwice(START + 14 * DAY);
    await setLimit('acme', 'devices', 9);
    expect(await sweepAt(clock.at + 1)).toMatchObject({ orgs: 1, restored: 2 });
    expect(off.size).toBe(0);
    expect(await sweepAt(clock.at + DAY)).toMatchObject({ orgs: 0 });
  });

  it('D5: restores what was suspended before a deploy without a lifecycle, in which the org was upgraded, once there is one again', async () => {
    const { begin, sweepTwice, off, host, repository, clock, setLimit } = overCapacity();
    await begin();
    await sweepTwice(START + 14 * DAY);
    expect(off.size).toBe(2);
    const without = lifecycleOnMemory({}, { host, repository, clock });
    onTestFinished(() => without.degradation.close());
    await setLimit('acme', 'devices', 9);
    for (const hour of [1, 2, 3]) {
      clock.at = START + 15 * DAY + hour * HOUR;
      await without.degradation.sweep();
    }
    expect(without.log).toEqual([expect.stringContaining('lifecycle')]);
    expect(without.facts).toEqual([{ org: 'acme', rows: 2, failures: 1 }]);
    await sweepTwice(START + 16 * DAY);
    expect([...off]).toEqual([]);
    expect(await repository.loadRowActions('acme')).toEqual([]);
  });

  it.each(['removed', 'metered'])(
    'D5: restores the rows of a key that a deploy %s, though the inventory does not know them any more',
    async (what) => {
      const { begin, sweepTwice, off, host, repository, lifecycle, clock } = overCapacity();
      await begin();
      await sweepTwice(START + 14 * DAY);
      expect(off.size).toBe(2);
      const { devices: _, ...others } = openAppQuotas;
      const quotas = what === 'removed' ? others : { ...others, devices: metered({ periods: ['day'] }) };
      const inventory = { ...host.inventory, find: async () => null };
      const anew = lifecycleOnMemory(
        { lifecycle },
        { host: { ...host, inventory }, repository, clock, quotas },
      );
      onTestFinished(() => anew.degradation.close());
      clock.at = START + 15 * DAY;
      await anew.degradation.sweep();
      expect([...off]).toEqual([]);
      expect(await repository.loadRowActions('acme')).toEqual([]);
    },
  );

  it('D5: stops at the next step when the org is upgraded in the middle', async () => {
    const { begin, sweepAt, setLimit, hooks, calls, off } = overCapacity();
    await begin();
    await sweepAt(START + 14 * DAY);
    hooks.after = async (call) => {
      if (call.startsWith('suspend')) await setLimit('acme', 'devices', 9);
    };
    await sweepAt(START + 14 * DAY + HOUR);
    expect(calls).toEqual(['suspend acme/devices/d5', 'restore acme/devices/d5']);
    expect(off.size).toBe(0);
  });

  it('D1: never leaves fewer rows on than the limit when rows go away in the middle', async () => {
    const { begin, sweepAt, host, hooks, calls, off } = overCapacity({ rows: 6 });
    await begin();
    await sweepAt(START + 14 * DAY);
    hooks.after = async (call) => {
      if (call !== 'suspend acme/devices/d6') return;
      host.drop('acme', 'devices', 'd1');
      host.drop('acme', 'devices', 'd2');
    };
    await sweepAt(START + 14 * DAY + HOUR);
    expect(calls).toEqual(['suspend acme/devices/d6']);
    expect(host.rowsOf('acme', 'devices').filter(({ id }) => !off.has(`acme/devices/${id}`))).toHaveLength(3);
  });

  it('D2: suspends no row that is picked no more since another went in the middle, though one picked before it has to wait', async () => {
    const { begin, sweepAt, host, hooks, calls } = overCapacity({ rows: 7 });
    await begin();
    await sweepAt(START + 14 * DAY);
    // The first to go now, and seen for the first time.
    host.add('acme', 'devices', 'd8', START);
    hooks.after = async (call) => {
      if (call === 'suspend acme/devices/d7') host.drop('acme', 'devices', 'd1');
    };
    await sweepAt(START + 14 * DAY + HOUR);
    expect(calls).toEqual(['d7', 'd6', 'd5'].map((id) => `suspend acme/devices/${id}`));
    await sweepAt(START + 14 * DAY + 2 * HOUR);
    expect(calls.slice(3)).toEqual(['suspend acme/devices/d8']);
  });

  it('D2: suspends no row that is picked no more where the row that went was still to be restored', async () => {
    const { begin, sweepAt, sweepTwice, degradation, host, hooks, calls } = overCapacity();
    await begin();
    await sweepTwice(START + 14 * DAY);
    hooks.before = async (call) => {
      if (call.startsWith('restore')) throw new Error('not now');
    };
    await degradation.setKeep({ org: 'acme', resource: 'devices', id: 'd5', keep: true, actor: 'ada' });
    await sweepAt(START + 15 * DAY);
    // Both are picked before d3, and seen for the first time when d3 is due.
    for (const id of ['d6', 'd7']) host.add('acme', 'devices', id, START);
    const { find } = host.inventory;
    host.inventory.find = async (row) => {
      if (row.id === 'd5') host.drop('acme', 'devices', 'd5');
      return find(row);
    };
    await sweepAt(START + 15 * DAY + HOUR);
    await sweepAt(START + 15 * DAY + 2 * HOUR);
    expect(calls.slice(2).sort()).toEqual(['d6', 'd7'].map((id) => `suspend acme/devices/${id}`));
  });

  it('D2: follows a change of policy: restores what is no longer picked, suspends the rest at a second sighting', async () => {
    const { begin, sweepTwice, degradation, off } = overCapacity();
    await begin();
    await sweepTwice(START + 14 * DAY);
    await degradation.setSelectionPolicy({ org: 'acme', policy: 'oldest_first', actor: 'ada' });
    await expect.poll(() => [...off]).toEqual([]);
    await sweepTwice(START + 15 * DAY);
    expect([...off]).toEqual(['acme/devices/d1', 'acme/devices/d2']);
  });

  it('D2: keeps a pinned row on', async () => {
    const { begin, sweepTwice, degradation, off } = overCapacity();
    await begin();
    await degradation.setKeep({ org: 'acme', resource: 'devices', id: 'd5', keep: true, actor: 'ada' });
    await sweepTwice(START + 14 * DAY);
    expect([...off]).toEqual(['acme/devices/d4', 'acme/devices/d3']);
  });

  it('D7: removes nothing for a host that gave no remove callback', async () => {
    const { begin, sweepTwice, calls, host } = overCapacity();
    await begin();
    await sweepTwice(START + 14 * DAY);
    await sweepTwice(START + 29 * DAY);
    await sweepTwice(START + 300 * DAY);
    expect(calls.filter((call) => !call.startsWith('suspend'))).toEqual([]);
    expect(host.rowsOf('acme', 'devices')).toHaveLength(5);
  });

  it('D1: removes exactly the marked excess where the host does that, and then the org is within its limits', async () => {
    const { begin, sweepTwice, calls, host, degradation, repository } = overCapacity({ removes: true });
    await begin();
    await sweepTwice(START + 14 * DAY);
    await sweepTwice(START + 28 * DAY - 2 * HOUR);
    expect(calls.filter((call) => call.startsWith('remove'))).toEqual([]);
    await sweepTwice(START + 28 * DAY + HOUR);
    expect(calls.slice(2)).toEqual(['remove acme/devices/d5', 'remove acme/devices/d4']);
    expect(host.rowsOf('acme', 'devices').map(({ id }) => id)).toEqual(['d1', 'd2', 'd3']);
    expect(await degradation.report('acme')).toMatchObject({ stage: 'none', flagged: [] });
    await sweepTwice(START + 29 * DAY);
    expect(await repository.loadRowActions('acme')).toEqual([]);
  });

  it('D5: removes no row that its admins pinned in the middle', async () => {
    const { begin, sweepAt, sweepTwice, degradation, hooks, calls } = overCapacity({
      rows: 6,
      removes: true,
    });
    await begin();
    await sweepTwice(START + 14 * DAY);
    await sweepAt(START + 28 * DAY + HOUR);
    hooks.after = async (call) => {
      if (call !== 'remove acme/devices/d6') return;
      await degradation.setKeep({ org: 'acme', resource: 'devices', id: 'd5', keep: true, actor: 'ada' });
    };
    await sweepAt(START + 28 * DAY + 2 * HOUR);
    expect(calls).toContain('remove acme/devices/d6');
    expect(calls).not.toContain('remove acme/devices/d5');
    expect(calls).toContain('restore acme/devices/d5');
  });

  it('D5: removes no row that its admins pinned while another was suspended', async () => {
    const { begin, sweepAt, sweepTwice, degradation, host, hooks, calls } = overCapacity({ removes: true });
    await begin();
    await sweepTwice(START + 14 * DAY);
    for (let n = 1; n <= 3; n += 1) host.add('acme', 'zones', `z${n}`, START + n);
    await sweepAt(START + 28 * DAY + HOUR);
    hooks.after = async (call) => {
      if (call !== 'suspend acme/zones/z3') return;
      await degradation.setKeep({ org: 'acme', resource: 'devices', id: 'd5', keep: true, actor: 'ada' });
    };
    await sweepAt(START + 28 * DAY + 2 * HOUR);
    expect(calls).toContain('suspend acme/zones/z3');
    expect(calls).not.toContain('remove acme/devices/d5');
  });

  it('removes no row the org’s admins picked late before it was suspended for the whole degraded stage', async () => {
    const { begin, sweepTwice, degradation, calls } = overCapacity({ removes: true });
    await begin();
    await sweepTwice(START + 27 * DAY);
    await degradation.setSelectionPolicy({ org: 'acme', policy: 'oldest_first', actor: 'ada' });
    await sweepTwice(START + 27 * DAY + 2 * HOUR);
    await sweepTwice(START + 28 * DAY);
    await sweepTwice(START + 40 * DAY);
    expect(calls.filter((call) => call.startsWith('remove'))).toEqual([]);
    await sweepTwice(START + 27 * DAY + 3 * HOUR + 14 * DAY);
    expect(calls.slice(-2)).toEqual(['remove acme/devices/d1', 'remove acme/devices/d2']);
  });

  it('removes no row within minutes where nobody swept for weeks: it is suspended for the degraded stage first', async () => {
    const { begin, sweepTwice, calls, off } = overCapacity({ removes: true });
    await begin();
    await sweepTwice(START + 60 * DAY);
    expect(off.size).toBe(2);
    for (let hour = 2; hour < 10; hour += 1) await sweepTwice(START + 60 * DAY + hour * HOUR);
    await sweepTwice(START + 73 * DAY);
    expect(calls.filter((call) => call.startsWith('remove'))).toEqual([]);
    await sweepTwice(START + 74 * DAY + HOUR);
    expect(calls.slice(2)).toEqual(['remove acme/devices/d5', 'remove acme/devices/d4']);
  });

  it('removes no row within minutes of its suspension where that failed for weeks, or nobody swept since it was noted', async () => {
    const { begin, sweepAt, sweepTwice, calls, hooks } = overCapacity({ removes: true });
    await begin();
    await sweepAt(START + 14 * DAY);
    hooks.before = async (call) => {
      if (call === 'suspend acme/devices/d5') throw new Error('no such column');
    };
    for (let day = 30; day < 40; day += 1) await sweepTwice(START + day * DAY);
    hooks.before = async () => {};
    await sweepAt(START + 40 * DAY);
    expect(calls).toEqual(['suspend acme/devices/d4', 'suspend acme/devices/d5']);
    for (let hour = 2; hour < 10; hour += 1) await sweepTwice(START + 40 * DAY + hour * HOUR);
    await sweepTwice(START + 44 * DAY - 2 * HOUR);
    expect(calls).toHaveLength(2);
    await sweepTwice(START + 44 * DAY);
    expect(calls.slice(2)).toEqual(['remove acme/devices/d4']);
    await sweepTwice(START + 54 * DAY - 2 * HOUR);
    expect(calls).toHaveLength(3);
    await sweepTwice(START + 54 * DAY);
    expect(calls.slice(3)).toEqual(['remove acme/devices/d5']);
  });

  it('removes no row within minutes because its org’s times were shortened', async () => {
    const { begin, sweepTwice, calls, host, repository, lifecycle, clock } = overCapacity({ removes: true });
    await begin();
    await sweepTwice(START + 10 * DAY);
    const overCapacityNow = { warnedMs: DAY, degradedMs: 2 * DAY };
    const anew = lifecycleOnMemory({ lifecycle, overCapacity: overCapacityNow }, { host, repository, clock });
    onTestFinished(() => anew.degradation.close());
    const sweepsAt = async (at: number) => {
      for (const hours of [0, 1, 2, 3]) {
        clock.at = at + hours * HOUR;
        await anew.degradation.sweep();
      }
    };
    await sweepsAt(START + 10 * DAY + 2 * HOUR);
    await sweepsAt(START + 12 * DAY - 2 * HOUR);
    expect(calls).toEqual(['suspend acme/devices/d5', 'suspend acme/devices/d4']);
    await sweepsAt(START + 12 * DAY + 2 * HOUR);
    expect(calls.slice(2)).toEqual(['remove acme/devices/d5', 'remove acme/devices/d4']);
  });

  it('finds an override that ran out with nobody asking, and gives the whole grace from then', async () => {
    const { overrides, sweepAt, degradation } = overCapacity();
    const override = { subjectType: 'org', subjectId: 'acme', key: 'devices', limit: 9, actor: 'operator' };
    await overrides.set({ ...override, expiresAt: START + 40 * DAY });
    expect(await sweepAt(START + 1)).toMatchObject({ orgs: 1 });
    expect(await sweepAt(START + 40 * DAY - 1)).toMatchObject({ orgs: 0 });
    expect(await sweepAt(START + 40 * DAY)).toMatchObject({ orgs: 1 });
    expect((await degradation.report('acme')).overCapacityAt).toBe(START + 40 * DAY);
  });

  it('finds an org over a limit that another process lowered, though it keeps limits for an hour itself', async () => {
    const { host, repository, clock, lifecycle, setLimit } = overCapacity({ rows: 3 });
    const keeping = lifecycleOnMemory({ lifecycle, limitsTtlMs: HOUR }, { host, repository, clock });
    onTestFinished(() => keeping.degradation.close());
    expect(await keeping.degradation.report('acme')).toMatchObject({ overCapacity: false });
    await setLimit('acme', 'devices', 1);
    await keeping.degradation.sweep();
    expect(await repository.loadDegradation('acme')).toMatchObject({ overCapacityAt: START });
  });

  it('looks at orgs it is given, in pages, and leaves out what is no org id', async () => {
    const { degradation, repository, log } = overCapacity({ orgs: ['acme', 'globex'] });
    async function* orgs() {
      yield* ['acme', 'a/b', '__proto__', 'globex'];
    }
    expect(await degradation.sweep({ orgs: orgs() })).toMatchObject({ orgs: 2 });
    expect((await repository.loadDegradation('globex')).overCapacityAt).toBe(START);
    expect(log).toEqual(Array(2).fill('An org id given to sweep is not valid. It is left out.'));
    expect(await degradation.sweep({ orgs: 'initech' })).toMatchObject({ orgs: 1, orgsFailed: 0 });
  });

  it('restores what was suspended when the lifecycle was turned off since', async () => {
    const { begin, sweepTwice, off, host, repository, lifecycle, clock } = overCapacity();
    await begin();
    await sweepTwice(START + 14 * DAY);
    const turnedOff = lifecycleOnMemory({ overCapacity: false, lifecycle }, { host, repository, clock });
    clock.at += 1;
    await turnedOff.degradation.sweep();
    expect(off.size).toBe(0);
    expect((await repository.loadDegradation('acme')).flags).toEqual([]);
  });

  it('forgets a suspended row that its owner deleted, without asking the host to restore it', async () => {
    const { begin, sweepTwice, sweepAt, host, calls, repository, clock } = overCapacity();
    await begin();
    await sweepTwice(START + 14 * DAY);
    host.drop('acme', 'devices', 'd5');
    await sweepAt(clock.at + 1);
    expect(calls).toHaveLength(2);
    expect((await repository.loadRowActions('acme')).map(({ id }) => id)).toEqual(['d4']);
  });

  it('asks for no restore of a row that is gone where the host answers undefined for it', async () => {
    const { begin, sweepTwice, sweepAt, host, calls, clock } = overCapacity();
    await begin();
    await sweepTwice(START + 14 * DAY);
    const { find } = host.inventory;
    host.inventory.find = async (request) => (await find(request)) ?? (undefined as never);
    host.drop('acme', 'devices', 'd5');
    await sweepAt(clock.at + 1);
    expect(calls).toHaveLength(2);
  });
});

describe('F32: hosts that fail', () => {
  it('D6: an org whose callbacks throw stops nobody, and is done when they work again', async () => {
    const { begin, sweepTwice, sweepAt, hooks, off, log, clock } = overCapacity({
      orgs: ['acme', 'globex', 'zeta'],
    });
    await begin();
    hooks.before = async (call) => {
      if (call.includes('globex')) throw new Error('no');
    };
    expect(await sweepTwice(START + 14 * DAY)).toMatchObject({ orgs: 3, suspended: 4, failed: 2 });
    expect(log).toContain('A lifecycle callback failed. The next sweep repeats it.');
    hooks.before = async () => {};
    expect(await sweepAt(clock.at + 1)).toMatchObject({ suspended: 2, failed: 0 });
    expect(off.size).toBe(6);
  });

  it('says of rows that can never be restored now and again how many failed, and not each at each sweep', async () => {
    const orgs = Array.from({ length: 40 }, (_, n) => `org-${n}`);
    const { begin, sweepTwice, sweepAt, setLimit, hooks, log, facts, clock } = overCapacity({ orgs });
    await begin();
    await sweepTwice(START + 14 * DAY);
    for (const org of orgs) await setLimit(org, 'devices', 20);
    hooks.before = async () => {
      throw new Error('no such resource');
    };
    let now = performance.now();
    vi.spyOn(performance, 'now').mockImplementation(() => now);
    for (let sweeps = 0; sweeps < 6; sweeps += 1)
      expect(await sweepAt(clock.at + 1)).toMatchObject({ failed: 80 });
    const said = 'A lifecycle callback failed. The next sweep repeats it.';
    expect(log.filter((text) => text === said)).toHaveLength(1);
    now += 10_000;
    await sweepAt(clock.at + 1);
    expect(log.filter((text) => text === said)).toHaveLength(2);
    expect(facts.at(-1)).toMatchObject({
      action: 'restore',
      resource: 'devices',
      id: expect.any(String),
      failures: 6 * 80,
    });
  });

  it('D3: repeats a failed action under the same key, and another action never has it', async () => {
    const { begin, sweepTwice, sweepAt, hooks, keys, clock, setLimit } = overCapacity({ rows: 4 });
    await begin();
    hooks.after = async () => {
      throw new Error('the answer was lost');
    };
    await sweepTwice(START + 14 * DAY);
    await sweepAt(clock.at + 1);
    hooks.after = async () => {};
    await sweepAt(clock.at + 1);
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
    await setLimit('acme', 'devices', 9);
    await sweepAt(clock.at + 1);
    await setLimit('acme', 'devices', 3);
    await sweepAt(clock.at + 1);
    await sweepTwice(clock.at + 15 * DAY);
    expect(keys).toHaveLength(5);
    expect(new Set(keys).size).toBe(3);
  });

  it('a row that always fails holds up no other row', async () => {
    const { begin, sweepTwice, sweepAt, hooks, off, clock } = overCapacity({ rows: 12 });
    await begin();
    const bad = ['d12', 'd11', 'd10', 'd9'].map((id) => `suspend acme/devices/${id}`);
    hooks.before = async (call) => {
      if (bad.includes(call)) throw new Error('no');
    };
    await sweepTwice(START + 14 * DAY);
    await sweepAt(clock.at + 1);
    await sweepAt(clock.at + 1);
    expect([...off].sort()).toEqual([
      'acme/devices/d4',
      'acme/devices/d5',
      'acme/devices/d6',
      'acme/devices/d7',
      'acme/devices/d8',
    ]);
  });

  it('rows that can never be restored keep no other row from being restored once the host works again', async () => {
    const { begin, sweepTwice, sweepAt, setLimit, hooks, off, clock } = overCapacity({ rows: 12 });
    await begin();
    await sweepTwice(START + 14 * DAY);
    hooks.before = async () => {
      throw new Error('no');
    };
    await setLimit('acme', 'devices', 20);
    for (let sweeps = 0; sweeps < 6; sweeps += 1) await sweepAt(clock.at + 1);
    const bad = ['d10', 'd11', 'd12', 'd4'].map((id) => `restore acme/devices/${id}`);
    hooks.before = async (call) => {
      if (bad.includes(call)) throw new Error('no');
    };
    for (let sweeps = 0; sweeps < 6; sweeps += 1) await sweepAt(clock.at + 1);
    expect([...off].sort()).toEqual(['d10', 'd11', 'd12', 'd4'].map((id) => `acme/devices/${id}`));
  });

  it('a row that the inventory fails to find holds up no other row', async () => {
    const { begin, sweepTwice, sweepAt, host, setLimit, off, log, clock } = overCapacity();
    await begin();
    await sweepTwice(START + 14 * DAY);
    const { find } = host.inventory;
    host.inventory.find = async (request) => {
      if (request.id === 'd4') throw new Error('the row cannot be read');
      return await find(request);
    };
    await setLimit('acme', 'devices', 9);
    expect(await sweepAt(clock.at + 1)).toMatchObject({ orgsFailed: 0, restored: 1, failed: 1 });
    expect(log).toEqual(['A row could not be looked up. The next sweep tries again.']);
    host.inventory.find = find;
    await sweepAt(clock.at + 1);
    expect(off.size).toBe(0);
  });

  it('a restore that always fails holds up no other key', async () => {
    const { begin, sweepTwice, hooks, host, degradation, off, clock } = overCapacity();
    await begin();
    await sweepTwice(START + 14 * DAY);
    hooks.before = async (call) => {
      if (call.startsWith('restore')) throw new Error('no');
    };
    // d1 and d2 cannot be suspended in place of d4 and d5 as long as those are not back.
    await degradation.setSelectionPolicy({ org: 'acme', policy: 'oldest_first', actor: 'ada' });
    for (const n of [1, 2, 3]) host.add('acme', 'zones', `z${n}`, START + n);
    await sweepTwice(clock.at + HOUR);
    expect([...off].sort()).toEqual(['acme/devices/d4', 'acme/devices/d5', 'acme/zones/z1']);
  });

  it('three restores that always fail hold up no other key, nor do three suspends hold up its removals', async () => {
    const { begin, sweepTwice, hooks, host, degradation, off, calls, clock } = overCapacity({
      rows: 6,
      removes: true,
    });
    await begin();
    await sweepTwice(START + 14 * DAY);
    hooks.before = async (call) => {
      if (call.includes('devices') && !call.startsWith('remove')) throw new Error('no');
    };
    await degradation.setSelectionPolicy({ org: 'acme', policy: 'oldest_first', actor: 'ada' });
    for (const n of [1, 2, 3]) host.add('acme', 'zones', `z${n}`, START + n);
    await sweepTwice(clock.at + HOUR);
    expect([...off].sort()).toEqual(
      ['d4', 'd5', 'd6'].map((id) => `acme/devices/${id}`).concat('acme/zones/z1'),
    );
    await sweepTwice(clock.at + 28 * DAY);
    await sweepTwice(clock.at + HOUR);
    expect(calls).toContain('remove acme/zones/z1');
  });

  it('a callback that hangs is given up after its time and told so by its signal, and the next org goes on', async () => {
    const host = overCapacity({ orgs: ['acme', 'globex'], callbackTimeoutMs: 20 });
    const { begin, sweepTwice, hooks, off } = host;
    await begin();
    const aborted: string[] = [];
    hooks.before = (call, signal) =>
      call.includes('globex')
        ? Promise.resolve()
        : new Promise(() => signal.addEventListener('abort', () => void aborted.push(call)));
    expect(await sweepTwice(START + 14 * DAY)).toMatchObject({ suspended: 2, failed: 2 });
    expect([...off]).toEqual(['globex/devices/d5', 'globex/devices/d4']);
    expect(aborted).toEqual(['suspend acme/devices/d5', 'suspend acme/devices/d4']);
  });

  it('D6: an org that cannot be counted stops nobody and is due again', async () => {
    const { begin, sweepAt, host, log, clock, off } = overCapacity({ orgs: ['acme', 'globex'] });
    await begin();
    const { count } = host.inventory;
    host.inventory.count = async (request) => {
      if (request.org === 'acme') throw new Error('the database is down');
      return await count(request);
    };
    expect(await sweepAt(START + 14 * DAY)).toMatchObject({ orgs: 2, orgsFailed: 1 });
    expect(await sweepAt(START + 14 * DAY + HOUR)).toMatchObject({ orgsFailed: 1, suspended: 2 });
    expect(log.filter((text) => text === 'An org could not be swept. It is due again.')).toHaveLength(1);
    host.inventory.count = count;
    await sweepAt(clock.at + HOUR);
    expect(await sweepAt(clock.at + HOUR)).toMatchObject({ orgsFailed: 0, suspended: 2 });
    expect(off.size).toBe(4);
  });

  it('a restore that failed is repeated by the next sweep, though the org is within its limits by then', async () => {
    const { begin, sweepTwice, sweepAt, hooks, off, host, clock } = overCapacity();
    await begin();
    await sweepTwice(START + 14 * DAY);
    hooks.before = async () => {
      throw new Error('no');
    };
    for (const id of ['d1', 'd2']) host.drop('acme', 'devices', id);
    expect(await sweepAt(clock.at + 1)).toMatchObject({ restored: 0, failed: 2 });
    hooks.before = async () => {};
    expect(await sweepAt(clock.at + 1)).toMatchObject({ restored: 2, failed: 0 });
    expect(off.size).toBe(0);
    expect(await sweepAt(clock.at + DAY)).toMatchObject({ orgs: 0 });
  });

  it('D6: an org whose state others kept from being stored is due again', async () => {
    const { begin, sweepAt, host, repository } = overCapacity({ rows: 4 });
    await begin();
    host.drop('acme', 'devices', 'd4');
    const { saveDegradation } = repository;
    repository.saveDegradation = async () => 'conflict';
    await sweepAt(START + DAY);
    expect((await repository.loadDegradation('acme')).overCapacityAt).toBe(START);
    repository.saveDegradation = saveDegradation;
    await sweepAt(START + DAY + 1);
    expect((await repository.loadDegradation('acme')).overCapacityAt).toBeNull();
  });

  it('a list that cannot be read fails the sweep, and nothing else', async () => {
    const { degradation, repository } = overCapacity();
    await repository.close();
    await expect(degradation.sweep()).rejects.toEqual(code('repository_unavailable'));
  });
});

describe('D3: several sweepers', () => {
  it('do every action once between them', async () => {
    const orgs = Array.from({ length: 60 }, (_, n) => `org-${n}`);
    const { begin, sweepAt, clock, peer, degradation, calls, off } = overCapacity({ orgs });
    const other = peer();
    await begin();
    await sweepAt(START + 14 * DAY);
    clock.at += HOUR;
    const results = await Promise.all([degradation.sweep(), other.degradation.sweep(), degradation.sweep()]);
    expect(results.reduce((sum, { suspended }) => sum + suspended, 0)).toBe(120);
    expect(results.reduce((sum, { orgs: looked }) => sum + looked, 0)).toBe(60);
    expect(calls).toHaveLength(120);
    expect(off.size).toBe(120);
  });

  it('a sweeper whose claim ran out while its host was slow does nothing more, and leaves the record to the next one', async () => {
    const { begin, sweepAt, clock, peer, hooks, calls, repository } = overCapacity();
    const other = peer();
    await begin();
    await sweepAt(START + 14 * DAY);
    clock.at += HOUR;
    let isFirst = true;
    hooks.after = async () => {
      if (!isFirst) return;
      isFirst = false;
      clock.at += 60_000;
      await other.degradation.sweep();
    };
    await sweepAt(clock.at);
    expect(calls).toEqual([
      'suspend acme/devices/d5',
      // The other sweeper cannot know that it was done. It repeats it under the same key.
      'suspend acme/devices/d4',
      'suspend acme/devices/d5',
    ]);
    expect(await repository.loadRowActions('acme')).toMatchObject([
      { id: 'd4', action: 'suspend', state: 'done' },
      { id: 'd5', action: 'suspend', state: 'done' },
    ]);
  });

  it('a sweeper whose claim ran out while a row was looked up does not act on it: another sweeper did', async () => {
    const { begin, sweepAt, clock, peer, host, calls } = overCapacity();
    const other = peer();
    await begin();
    await sweepAt(START + 14 * DAY);
    clock.at += HOUR;
    const { find } = host.inventory;
    host.inventory.find = async (request) => {
      host.inventory.find = find;
      clock.at += 60_000;
      await other.degradation.sweep();
      return find(request);
    };
    await sweepAt(clock.at);
    expect(calls).toEqual(['suspend acme/devices/d5', 'suspend acme/devices/d4']);
  });

  /** Orgs that are degraded from the start, on the real clock, with claims that last `6 x callbackTimeoutMs`. */
  async function inRealTime(request: { orgs: readonly string[]; rows: number; callbackTimeoutMs: number }) {
    const host = testHost();
    for (const org of request.orgs) {
      for (let n = 1; n <= request.rows; n += 1) host.add(org, 'devices', `d${n}`, START + n);
    }
    const called = testLifecycle({ callbackTimeoutMs: request.callbackTimeoutMs, sightingMs: 1 });
    const clock = { at: 0, now: () => Date.now() };
    const options = { lifecycle: called.lifecycle, overCapacity: { warnedMs: 0 } };
    const one = lifecycleOnMemory(options, { host, clock });
    onTestFinished(() => one.degradation.close());
    for (const org of request.orgs) await one.degradation.report(org);
    await one.degradation.sweep();
    await sleep(2);
    return { ...one, ...called };
  }

  it('hold an org for as long as its host takes to list its rows', async () => {
    const slowToList = await inRealTime({ orgs: ['acme'], rows: 5, callbackTimeoutMs: 50 });
    const { list } = slowToList.host.inventory;
    slowToList.host.inventory.list = async function* (request) {
      await sleep(400);
      yield* list(request);
    };
    expect(await slowToList.degradation.sweep()).toMatchObject({ suspended: 2 });
  });

  it('go on where a claim could not be renewed once, which ends no process', async () => {
    const { degradation, repository, host } = await inRealTime({
      orgs: ['acme'],
      rows: 5,
      callbackTimeoutMs: 50,
    });
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    onTestFinished(() => void process.off('unhandledRejection', unhandled));
    const { saveRowActions } = repository;
    let renewals = 0;
    repository.saveRowActions = async (request) => {
      if (request.save.length + request.forget.length > 0) return await saveRowActions(request);
      renewals += 1;
      if (renewals === 1) throw new Error('not now');
      return await saveRowActions(request);
    };
    const { list } = host.inventory;
    host.inventory.list = async function* (request) {
      await expect.poll(() => renewals).toBeGreaterThan(1);
      yield* list(request);
    };
    expect(await degradation.sweep()).toMatchObject({ suspended: 2 });
    expect(unhandled).not.toHaveBeenCalled();
  });

  it('hold an org for as long as it waits for its turn', async () => {
    const orgs = Array.from({ length: 24 }, (_, n) => `org-${n}`);
    const slowToAct = await inRealTime({ orgs, rows: 15, callbackTimeoutMs: 200 });
    slowToAct.hooks.before = () => sleep(60);
    expect(await slowToAct.degradation.sweep()).toMatchObject({ suspended: 24 * 12, failed: 0 });
  });

  it('are not renewed once their org was looked at, however long another takes', async () => {
    const orgs = ['acme', 'globex'];
    const { degradation, repository, host } = await inRealTime({ orgs, rows: 4, callbackTimeoutMs: 50 });
    const over = new Set<string>();
    const renewed = { acme: 0, afterwards: 0 };
    const { saveRowActions, finishSweep } = repository;
    repository.saveRowActions = async (request) => {
      if (over.has(request.org)) renewed.afterwards += 1;
      else if (over.has('globex')) renewed.acme += 1;
      return await saveRowActions(request);
    };
    repository.finishSweep = async (request) => {
      over.add(request.org);
      return await finishSweep(request);
    };
    const { list } = host.inventory;
    host.inventory.list = async function* (request) {
      if (request.org === 'acme') await expect.poll(() => renewed.acme).toBeGreaterThan(1);
      yield* list(request);
    };
    expect(await degradation.sweep()).toMatchObject({ orgs: 2, suspended: 2 });
    expect(renewed.afterwards).toBe(0);
  });

  const methods = [
    'saveDegradation',
    'saveRowActions',
    'loadRowActions',
    'finishSweep',
    'claimSweeps',
  ] as const;
  it.each(methods)(
    'a crash before or after any call of %s ends, once its claim ran out, as one clean sweep',
    async (method) => {
      for (const moment of ['before', 'after'] as const) {
        for (let nth = 1; nth <= 6; nth += 1) {
          const { begin, repository, peer, clock, off, calls, keys } = overCapacity({ removes: false });
          await begin();
          clock.at = START + 14 * DAY;
          let count = 0;
          let isDead = false;
          const dying = new Proxy(repository, {
            get(target, name: keyof BillingRepository) {
              const real = target[name] as (...given: unknown[]) => Promise<unknown>;
              return async (...given: unknown[]) => {
                if (isDead) throw new Error('the process is gone');
                if (name === method) count += 1;
                if (name === method && count === nth) {
                  isDead = true;
                  if (moment === 'after') await real(...given);
                  throw new Error('the process is gone');
                }
                return await real(...given);
              };
            },
          });
          const crashing = peer(dying);
          for (let sweeps = 0; sweeps < 3; sweeps += 1) {
            await crashing.degradation.sweep().catch(() => undefined);
            clock.at += HOUR;
          }
          const survivor = peer();
          for (let sweeps = 0; sweeps < 3; sweeps += 1) {
            await survivor.degradation.sweep();
            clock.at += HOUR;
          }
          expect([...off].sort(), `${moment} call ${nth} of ${method}`).toEqual([
            'acme/devices/d4',
            'acme/devices/d5',
          ]);
          expect(new Set(keys).size).toBe(2);
          expect(calls.every((call) => call.startsWith('suspend'))).toBe(true);
          expect(await repository.loadRowActions('acme')).toMatchObject([
            { state: 'done' },
            { state: 'done' },
          ]);
        }
      }
    },
  );
});

describe('D6: a backlog', () => {
  it('of 40,000 orgs drains in bounded batches, the longest due first', async () => {
    const { repository, clock, peer, host } = overCapacity({ orgs: [] });
    const orgs = Array.from({ length: 40_000 }, (_, n) => `org-${n}`);
    for (const org of orgs) for (const id of ['d1', 'd2', 'd3', 'd4']) host.add(org, 'devices', id, START);
    const late = orgs.slice(0, 10);
    await repository.watchOrgs({ orgs: orgs.slice(10) });
    clock.at += 1_000;
    await repository.watchOrgs({ orgs: late });
    let most = 0;
    const claimed: string[] = [];
    const counting = new Proxy(repository, {
      get(target, name: keyof BillingRepository) {
        if (name !== 'claimSweeps') return target[name];
        return async (request: Parameters<BillingRepository['claimSweeps']>[0]) => {
          const answer = await target.claimSweeps(request);
          most = Math.max(most, answer.claims.length);
          claimed.push(...answer.claims.map(({ org }) => org));
          return answer;
        };
      },
    });
    // Only the devices, and past the counters: this is about the list.
    const limit = { value: 3, source: { kind: 'default' } } as const;
    const window = { label: 'lifetime', startsAt: null, endsAt: null };
    const usage: ExactUsage = async (org) => {
      const current = host.rowsOf(org, 'devices').length;
      return {
        org,
        tier: 'free',
        items: [{ key: 'devices', period: 'lifetime', unit: 'count', window, current, limit }],
      };
    };
    const result = await peer(counting, usage).degradation.sweep();
    expect(result).toMatchObject({ orgs: 40_000, orgsFailed: 0 });
    expect(most).toBeLessThanOrEqual(32);
    expect(claimed.slice(-10).sort()).toEqual(late.sort());
    expect((await repository.loadDegradation('org-39999')).flags).toMatchObject([
      { id: 'd1', state: 'flagged' },
    ]);
  }, 120_000);
});

describe('a large org', () => {
  it('is wound down in one sweep, evaluated a bounded number of times, and never below its limit', async () => {
    const { begin, sweepAt, host, hooks, off, degradation } = overCapacity({ rows: 1_003 });
    await begin();
    await sweepAt(START + 14 * DAY);
    host.state.listed = 0;
    let least = Number.POSITIVE_INFINITY;
    hooks.after = async () => {
      least = Math.min(least, 1_003 - off.size);
    };
    expect(await sweepAt(START + 14 * DAY + HOUR)).toMatchObject({ suspended: 1_000, failed: 0 });
    expect(least).toBe(3);
    expect(host.state.listed).toBeLessThan(50);
    expect((await degradation.report('acme')).flagged).toHaveLength(1_000);
  });
});

describe('an org that takes long', () => {
  it('holds up no other of its sweep, however many there are', async () => {
    const orgs = Array.from({ length: 80 }, (_, n) => `org-${n}`);
    const { begin, sweepAt, clock, degradation, hooks, calls } = overCapacity({
      orgs,
      callbackTimeoutMs: 60_000,
    });
    await begin();
    await sweepAt(START + 14 * DAY);
    clock.at += HOUR;
    let release = () => {};
    const released = new Promise<void>((resolve) => {
      release = resolve;
    });
    hooks.before = async (call) => {
      if (call.startsWith('suspend org-0/')) await released;
    };
    const sweeping = degradation.sweep();
    await expect.poll(() => calls.length).toBe(2 * 79);
    release();
    expect(await sweeping).toMatchObject({ orgs: 80, suspended: 160 });
  });

  it('is left by a sweeper after some time, and an org that came meanwhile has its turn', async () => {
    const { begin, sweepAt, clock, degradation, host, hooks, calls, repository } = overCapacity({
      rows: 1_003,
    });
    await begin();
    await sweepAt(START + 14 * DAY);
    clock.at += HOUR;
    for (const id of ['d1', 'd2', 'd3', 'd4']) host.add('globex', 'devices', id, START);
    hooks.before = async () => {
      clock.at += 1_000;
      if (calls.length === 0) await repository.watchOrgs({ orgs: ['globex'] });
    };
    let suspendedBefore = 0;
    const { count } = host.inventory;
    host.inventory.count = (request) => {
      if (request.org === 'globex' && suspendedBefore === 0) suspendedBefore = calls.length;
      return count(request);
    };
    const sweeper = degradation.startSweeper({ everyMs: 1 });
    await expect.poll(() => calls.length, { timeout: 20_000 }).toBe(1_000);
    await sweeper.stop();
    expect(suspendedBefore).toBeGreaterThan(0);
    expect(suspendedBefore).toBeLessThan(100);
  }, 30_000);

  it('is left by a sweeper after some time where all that is to be done is to forget rows that are gone', async () => {
    const { begin, sweepTwice, clock, degradation, host, repository } = overCapacity({ rows: 303 });
    await begin();
    await sweepTwice(START + 14 * DAY);
    for (let n = 1; n <= 303; n += 1) host.drop('acme', 'devices', `d${n}`);
    const { find, count } = host.inventory;
    let lookups = 0;
    host.inventory.find = async (row) => {
      if (lookups === 0) await repository.watchOrgs({ orgs: ['globex'] });
      lookups += 1;
      clock.at += 1_000;
      return await find(row);
    };
    let lookupsBefore = 0;
    host.inventory.count = (request) => {
      if (request.org === 'globex' && lookupsBefore === 0) lookupsBefore = lookups;
      return count(request);
    };
    clock.at += HOUR;
    const sweeper = degradation.startSweeper({ everyMs: 1 });
    await expect.poll(() => lookups, { timeout: 10_000 }).toBe(300);
    await sweeper.stop();
    expect(lookupsBefore).toBeGreaterThan(0);
    expect(lookupsBefore).toBeLessThan(100);
  });

  it('is not left by a sweeper before anything went well: what hangs each time holds up nothing behind it', async () => {
    const { begin, sweepTwice, sweepAt, clock, degradation, host, hooks, calls } = overCapacity({
      rows: 6,
      callbackTimeoutMs: 30_000,
    });
    await begin();
    await sweepTwice(START + 14 * DAY);
    await degradation.setSelectionPolicy({ org: 'acme', policy: 'oldest_first', actor: 'ada' });
    for (const n of [1, 2, 3]) host.add('acme', 'zones', `z${n}`, START + n);
    hooks.before = async (call) => {
      if (!call.includes('devices')) return;
      clock.at += 30_000;
      throw new Error('it took too long');
    };
    await sweepAt(clock.at + HOUR);
    clock.at += HOUR;
    const sweeper = degradation.startSweeper({ everyMs: 1 });
    await expect.poll(() => calls).toContain('suspend acme/zones/z1');
    await sweeper.stop();
  });
});

describe('a sweeper', () => {
  it('looks at no org twice in one sweep, however long that takes', async () => {
    const { begin, degradation, host, clock } = overCapacity({ orgs: ['acme', 'globex'] });
    await begin();
    const { count } = host.inventory;
    host.inventory.count = (request) => {
      clock.at += 1_000;
      return count(request);
    };
    expect(await degradation.sweep()).toMatchObject({ orgs: 2 });
  });

  it('sweeps again and again until it is stopped, and survives failed sweeps', async () => {
    const { degradation, repository, log } = overCapacity();
    const { claimSweeps } = repository;
    let sweeps = 0;
    repository.claimSweeps = async (request) => {
      sweeps += 1;
      if (sweeps === 2) throw new Error('not now');
      return await claimSweeps(request);
    };
    const sweeper = degradation.startSweeper({ everyMs: 1 });
    await expect.poll(() => sweeps).toBeGreaterThan(3);
    await sweeper.stop();
    const stoppedAt = sweeps;
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(sweeps).toBe(stoppedAt);
    expect(log).toContain('A sweep failed.');
  });

  it.each([0, -1, 1.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31, '60000' as unknown as number])(
    'is refused every %s ms',
    async (everyMs) => {
      const { degradation, repository } = overCapacity();
      let claims = 0;
      const { claimSweeps } = repository;
      repository.claimSweeps = (request) => {
        claims += 1;
        return claimSweeps(request);
      };
      expect(() => degradation.startSweeper({ everyMs })).toThrow(code('invalid_configuration'));
      expect(claims).toBe(0);
    },
  );

  it('ends before the next action when the engine closes, and what is left is due again', async () => {
    const { begin, sweepAt, degradation, hooks, calls, clock, peer } = overCapacity({ rows: 9 });
    await begin();
    await sweepAt(START + 14 * DAY);
    clock.at += HOUR;
    hooks.after = async () => {
      void degradation.close();
    };
    await degradation.sweep();
    expect(calls).toHaveLength(1);
    hooks.after = async () => {};
    clock.at += 1;
    expect(await peer().degradation.sweep()).toMatchObject({ orgs: 1, suspended: 5 });
  });

  it('ends before the next action when its signal is aborted', async () => {
    const { begin, sweepAt, degradation, hooks, calls, clock } = overCapacity({ orgs: ['acme', 'globex'] });
    await begin();
    await sweepAt(START + 14 * DAY);
    clock.at += HOUR;
    const controller = new AbortController();
    hooks.before = async () => controller.abort();
    await degradation.sweep({ signal: controller.signal });
    expect(calls).toHaveLength(2);
    clock.at += 1;
    expect(await degradation.sweep()).toMatchObject({ suspended: 2 });
  });

  it('that is ended leaves the orgs it had claimed due at once', async () => {
    const orgs = Array.from({ length: 20 }, (_, n) => `org${n}`);
    const { begin, sweepAt, degradation, hooks, clock } = overCapacity({ orgs });
    await begin();
    await sweepAt(START + 14 * DAY);
    clock.at += HOUR;
    const controller = new AbortController();
    hooks.before = async () => controller.abort();
    await degradation.sweep({ signal: controller.signal });
    clock.at += 1;
    expect(await degradation.sweep()).toMatchObject({ orgs: 20 });
  });

  type Degradation = ReturnType<typeof overCapacity>['degradation'];
  const startSweeper = (degradation: Degradation) => degradation.startSweeper({ everyMs: 60_000 });
  it.each<[string, (degradation: Degradation) => () => Promise<void>]>([
    ['its stop', (degradation) => startSweeper(degradation).stop],
    [
      'the close of its engine',
      (degradation) => {
        startSweeper(degradation);
        return degradation.close;
      },
    ],
    [
      'the close after a sweep of the host’s own',
      (degradation) => {
        void degradation.sweep();
        return degradation.close;
      },
    ],
  ])('has ended what it does when %s answers', async (_end, begun) => {
    const { begin, sweepAt, degradation, hooks, calls, clock } = overCapacity();
    await begin();
    await sweepAt(START + 14 * DAY);
    clock.at += HOUR;
    let letGo = () => {};
    const held = new Promise<void>((resolve) => {
      letGo = resolve;
    });
    let isUnderWay = false;
    hooks.before = async () => {
      isUnderWay = true;
      await held;
    };
    const end = begun(degradation);
    await expect.poll(() => isUnderWay).toBe(true);
    let isEnded = false;
    const ending = end().then(() => {
      isEnded = true;
    });
    await new Promise(setImmediate);
    expect(isEnded).toBe(false);
    letGo();
    await ending;
    expect(calls).toEqual(['suspend acme/devices/d5']);
  });
});
