import type { BillingRepository, Flag, RowAction } from '@tollgate/core';
import { describe, expect } from 'vitest';
import type { BillingRepositoryHost } from '../billing-repository-host.ts';
import { AT, audit, ORG, override, repositoryTests, subscription } from './repository-case.ts';

/** The over-capacity lifecycle's rows, the sweep's list, and usage snapshots. */
export function lifecycle<R extends BillingRepository>(host: BillingRepositoryHost<R>): void {
  const test = repositoryTests(host);
  const { leaseMs } = host.timing;
  const flag = (id: string): Flag => ({
    resource: 'devices',
    id,
    state: 'flagged',
    flaggedAt: AT,
    markedAt: null,
  });
  const pinning = (id: string, keep = true, maxPins: number | null = 2) => ({
    org: ORG,
    pin: { resource: 'devices', id },
    keep,
    maxPins,
    audit: audit({ action: 'pin.set', subject: id }),
  });

  describe('the lifecycle', () => {
    test('is written over the version that was read, all of it at once', async (a) => {
      const write = {
        org: ORG,
        overCapacityAt: AT,
        stage: 'warned',
        flags: [flag('d2'), flag('d1')],
        lookAt: null,
      } as const;
      expect(await a.repository.saveDegradation({ ...write, expectedVersion: 1 })).toBe('conflict');
      expect(await a.repository.saveDegradation({ ...write, expectedVersion: 0 })).toBe('saved');
      const stored = await a.repository.loadDegradation(ORG);
      expect(stored).toMatchObject({
        overCapacityAt: AT,
        stage: 'warned',
        flags: [flag('d2'), flag('d1')],
        pins: [],
        policy: null,
      });
      const late = { ...write, flags: [], stage: 'none', overCapacityAt: null } as const;
      expect(await a.repository.saveDegradation({ ...late, expectedVersion: 0 })).toBe('conflict');
      expect(await a.repository.loadDegradation(ORG)).toMatchObject({
        flags: [flag('d2'), flag('d1')],
        version: stored.version,
      });
      expect(await a.repository.saveDegradation({ ...late, expectedVersion: stored.version })).toBe('saved');
      expect(await a.repository.loadDegradation(ORG)).toMatchObject({
        flags: [],
        stage: 'none',
        overCapacityAt: null,
      });
    });

    test("is read with the store's time, and without another org's flags and pins", async (a) => {
      const { now } = await a.repository.claimSweeps({ org: null, dueAt: null, limit: 1, leaseMs });
      const judged = { expectedVersion: 0, overCapacityAt: AT, stage: 'warned', lookAt: null } as const;
      await a.repository.saveDegradation({ ...judged, org: 'globex', flags: [flag('g1')] });
      await a.repository.setPin({ ...pinning('g2'), org: 'globex' });
      const unknown = await a.repository.loadDegradation(ORG);
      await a.repository.saveDegradation({ ...judged, org: ORG, flags: [] });
      const known = await a.repository.loadDegradation(ORG);
      for (const read of [unknown, known]) {
        expect(read).toMatchObject({ flags: [], pins: [] });
        expect(read.readAt).toBeGreaterThanOrEqual(now);
      }
      await a.repository.setPin(pinning('g2'));
      await a.repository.setPin(pinning('g2', false));
      expect(await a.repository.loadDegradation('globex')).toMatchObject({
        flags: [flag('g1')],
        pins: [{ resource: 'devices', id: 'g2' }],
      });
    });

    test('is read as of one version while others write it', async (a) => {
      const peer = await a.peer();
      let isWritten = false;
      const write = async () => {
        for (let n = 0; n < 20; n += 1) {
          const { version } = await a.repository.loadDegradation(ORG);
          const written = {
            overCapacityAt: AT + n,
            flags: [flag(`d${n}`)],
            stage: 'warned',
            lookAt: null,
          } as const;
          await a.repository.saveDegradation({ org: ORG, expectedVersion: version, ...written });
        }
        isWritten = true;
      };
      const read = async () => {
        while (!isWritten) {
          const { overCapacityAt, flags } = await peer.loadDegradation(ORG);
          if (overCapacityAt !== null) expect(flags).toEqual([flag(`d${overCapacityAt - AT}`)]);
        }
      };
      await Promise.all([write(), read(), read()]);
    });

    test('a new policy or pin moves the version, so that a sweep that did not see it writes nothing (D1)', async (a) => {
      const { version } = await a.repository.loadDegradation(ORG);
      await a.repository.setSelectionPolicy({
        org: ORG,
        policy: 'oldest_first',
        audit: audit({ action: 'policy.set' }),
      });
      const stale = {
        org: ORG,
        expectedVersion: version,
        overCapacityAt: AT,
        stage: 'warned',
        flags: [],
        lookAt: null,
      } as const;
      expect(await a.repository.saveDegradation(stale)).toBe('conflict');
      const again = await a.repository.loadDegradation(ORG);
      await a.repository.setPin(pinning('d1'));
      expect(await a.repository.saveDegradation({ ...stale, expectedVersion: again.version })).toBe(
        'conflict',
      );
      expect(await a.repository.loadDegradation(ORG)).toMatchObject({
        policy: 'oldest_first',
        pins: [{ resource: 'devices', id: 'd1' }],
      });
      expect(await a.repository.listAudit({ org: ORG, before: null, limit: 9 })).toHaveLength(2);
    });

    test('pins stop at their limit, a repeat changes nothing, and other resources have their own', async (a) => {
      expect(await a.repository.setPin(pinning('d1'))).toBe('saved');
      expect(await a.repository.setPin(pinning('d2'))).toBe('saved');
      const before = await a.repository.loadDegradation(ORG);
      expect(await a.repository.setPin(pinning('d1'))).toBe('saved');
      expect(await a.repository.setPin(pinning('d3'))).toBe('limit_reached');
      expect(await a.repository.setPin(pinning('never', false))).toBe('saved');
      expect(await a.repository.loadDegradation(ORG)).toMatchObject({
        pins: before.pins,
        version: before.version,
      });
      expect(await a.repository.setPin({ ...pinning('d1'), pin: { resource: 'zones', id: 'd1' } })).toBe(
        'saved',
      );
      expect(await a.repository.setPin(pinning('d1', false))).toBe('saved');
      expect(await a.repository.setPin(pinning('d3'))).toBe('saved');
      expect(await a.repository.setPin(pinning('d4', true, null))).toBe('saved');
      expect((await a.repository.loadDegradation(ORG)).pins).toHaveLength(4);
    });

    test('racing pins never pass their limit, the first of an org neither', async (a) => {
      const peer = await a.peer();
      const ids = Array.from({ length: 12 }, (_, index) => `d${index}`);
      const saved = await Promise.all(
        ids.map((id, index) => (index % 2 ? peer : a.repository).setPin(pinning(id, true, 5))),
      );
      expect(saved.filter((outcome) => outcome === 'saved')).toHaveLength(5);
      expect((await a.repository.loadDegradation(ORG)).pins).toHaveLength(5);
    });
  });

  describe("the sweep's list", () => {
    const claim = (org: string | null = null) => ({ org, dueAt: null, limit: 10, leaseMs });

    test('takes in an org whose limits may have moved, in the same step', async (a) => {
      await a.repository.saveSubscription({
        subscription: subscription({ org: 'by-sub' }),
        expectedVersion: null,
        audit: null,
      });
      await a.repository.upsertOverride({ override: override({ subjectId: 'by-override' }), actor: 'olga' });
      await a.repository.watchOrgs({ orgs: ['by-watch', 'by-watch'] });
      const { claims } = await a.repository.claimSweeps(claim());
      expect(claims.map(({ org }) => org).toSorted()).toEqual(['by-override', 'by-sub', 'by-watch']);
      expect(await a.repository.claimSweeps(claim())).toMatchObject({ claims: [] });
    });

    const judged = async (repository: BillingRepository, org: string, lookAt: number | null) => {
      const { version } = await repository.loadDegradation(org);
      const judgement = { overCapacityAt: AT, stage: 'warned', flags: [], lookAt } as const;
      await repository.saveDegradation({ org, expectedVersion: version, ...judgement });
    };

    test('takes in an org from the instant on that is saved with its lifecycle, and gives the longest due first', async (a) => {
      const { now } = await a.repository.claimSweeps(claim());
      for (const [org, lookAt] of [
        ['a', now - 1],
        ['b', now - 2],
        ['later', now + 3_600_000],
        ['never', null],
        ['b', now + 3_600_000],
      ] as const)
        await judged(a.repository, org, lookAt);
      const claimed = async (limit: number, dueAt: number | null) =>
        (await a.repository.claimSweeps({ ...claim(), limit, dueAt })).claims.map(({ org }) => org);
      expect(await claimed(1, null)).toEqual(['b']);
      expect(await claimed(10, null)).toEqual(['a']);
      expect(await claimed(10, now + 3_600_000)).toEqual(['later']);
    });

    test('has an org due when its sweep says, where what came in meanwhile is later', async (a) => {
      const { now, claims } = await a.repository.claimSweeps(claim(ORG));
      await judged(a.repository, ORG, now + 3_600_000);
      await a.repository.finishSweep({ org: ORG, fence: claims[0]?.fence ?? 0, lookAt: now });
      expect(await a.repository.claimSweeps(claim())).toMatchObject({ claims: [{ org: ORG }] });
    });

    test('gives racing sweepers different orgs (D3)', async (a) => {
      const orgs = Array.from({ length: 12 }, (_, index) => `org-${index}`);
      await a.repository.watchOrgs({ orgs });
      const peer = await a.peer();
      const given = await Promise.all(
        [a.repository, peer, a.repository, peer].map((handle) =>
          handle.claimSweeps({ ...claim(), limit: 3, leaseMs: 60_000 }),
        ),
      );
      const names = given.flatMap(({ claims }) => claims.map(({ org }) => org));
      expect(new Set(names).size).toBe(names.length);
      const { claims } = await a.repository.claimSweeps({ ...claim(), limit: 12 });
      expect([...names, ...claims.map(({ org }) => org)].toSorted()).toEqual(orgs.toSorted());
    });

    test('gives one org to one of the sweepers that ask for it (D3)', async (a) => {
      const peer = await a.peer();
      const given = await Promise.all(
        Array.from({ length: 10 }, (_, n) => (n % 2 ? peer : a.repository).claimSweeps(claim(ORG))),
      );
      expect(given.flatMap(({ claims }) => claims)).toHaveLength(1);
    });

    test('fences a sweeper whose claim ended: its writes are refused (D3)', async (a) => {
      await a.repository.watchOrgs({ orgs: [ORG] });
      const [stale] = (await a.repository.claimSweeps(claim())).claims;
      if (!stale) throw new Error('nothing claimed');
      const action: RowAction = {
        resource: 'devices',
        id: 'd1',
        action: 'suspend',
        state: 'sighted',
        key: 'k1',
        sightedAt: AT,
      };
      const writing = { ...stale, leaseMs, save: [action], forget: [] };
      expect(await a.repository.saveRowActions(writing)).toBe(true);
      await a.upTo(leaseMs);
      expect(await a.repository.claimSweeps(claim(ORG))).toMatchObject({ claims: [] });
      await a.past();
      expect(await a.repository.saveRowActions({ ...writing, forget: [action], save: [] })).toBe(false);
      const [fresh] = (await a.repository.claimSweeps(claim())).claims;
      expect(fresh?.fence).toBeGreaterThan(stale.fence);
      expect(await a.repository.finishSweep({ ...stale, lookAt: null })).toBe(false);
      expect(await a.repository.loadRowActions(ORG)).toEqual([action]);
      expect(await a.repository.finishSweep({ org: ORG, fence: fresh?.fence ?? 0, lookAt: null })).toBe(true);
      expect(await a.repository.claimSweeps(claim())).toMatchObject({ claims: [] });
    });

    test('lets a claim last from each write on, one of nothing too', async (a) => {
      const [claimed] = (await a.repository.claimSweeps(claim(ORG))).claims;
      if (!claimed) throw new Error('nothing claimed');
      await a.upTo(leaseMs);
      expect(await a.repository.saveRowActions({ ...claimed, leaseMs, save: [], forget: [] })).toBe(true);
      await a.past();
      expect(await a.repository.claimSweeps(claim(ORG))).toMatchObject({ claims: [] });
      expect(await a.repository.finishSweep({ ...claimed, lookAt: null })).toBe(true);
    });

    test('replaces and forgets row actions in one step', async (a) => {
      const [claimed] = (await a.repository.claimSweeps(claim(ORG))).claims;
      if (!claimed) throw new Error('nothing claimed');
      const action = (id: string, state: RowAction['state'], key = `k-${id}`): RowAction => ({
        resource: 'devices',
        id,
        action: 'suspend',
        state,
        key,
        sightedAt: AT,
      });
      await a.repository.saveRowActions({
        ...claimed,
        leaseMs,
        save: [action('d2', 'sighted'), action('d1', 'sighted')],
        forget: [],
      });
      await a.repository.saveRowActions({
        ...claimed,
        leaseMs,
        save: [action('d1', 'started', 'k-new'), action('d1', 'done', 'k-new')],
        forget: [action('d2', 'done')],
      });
      expect(await a.repository.loadRowActions(ORG)).toEqual([action('d1', 'done', 'k-new')]);
      expect(await a.repository.loadRowActions('globex')).toEqual([]);
    });

    test('keeps what came in during a sweep, and the earlier of two instants', async (a) => {
      await a.repository.watchOrgs({ orgs: [ORG] });
      const { now, claims } = await a.repository.claimSweeps({ ...claim(), leaseMs: 60_000 });
      await a.repository.watchOrgs({ orgs: [ORG] });
      expect(await a.repository.claimSweeps(claim())).toMatchObject({ claims: [] });
      await a.repository.finishSweep({ org: ORG, fence: claims[0]?.fence ?? 0, lookAt: now + 3_600_000 });
      const again = await a.repository.claimSweeps(claim());
      expect(again.claims).toHaveLength(1);
      await a.repository.finishSweep({
        org: ORG,
        fence: again.claims[0]?.fence ?? 0,
        lookAt: now + 3_600_000,
      });
      expect(await a.repository.claimSweeps(claim())).toMatchObject({ claims: [] });
      expect(await a.repository.claimSweeps({ ...claim(), dueAt: now + 3_600_000 })).toMatchObject({
        claims: [{ org: ORG }],
      });
    });

    test('tells of racing callers that raise a level one the lower level', async (a) => {
      const crossing = (spell: number, level: number) => ({ org: ORG, subject: 'devices', spell, level });
      const peer = await a.peer();
      const told = await Promise.all(
        [1, 2, 3, 4].map((n) => (n % 2 ? peer : a.repository).moveCrossing(crossing(5, 0.5))),
      );
      expect(told.toSorted()).toEqual([0, 0.5, 0.5, 0.5]);
      const raised = await Promise.all(
        Array.from({ length: 10 }, (_, n) => (n % 2 ? peer : a.repository).moveCrossing(crossing(5, 0.6))),
      );
      expect(raised.toSorted()).toEqual([0.5, ...Array(9).fill(0.6)]);
      expect(await a.repository.moveCrossing(crossing(4, 0.9))).toBe(0.9);
      expect(await a.repository.moveCrossing(crossing(5, 0.7))).toBe(0.6);
      expect(await a.repository.moveCrossing(crossing(6, 0.1))).toBe(0);
    });
  });

  describe('usage snapshots', () => {
    const snapshot = (used: number, over: { window?: string; endsAt?: number | null } = {}) => ({
      org: ORG,
      key: 'opens',
      window: over.window ?? 'day:2026-04-09',
      used,
      endsAt: over.endsAt === undefined ? AT : over.endsAt,
    });
    const load = (windows: readonly string[]) => windows.map((window) => ({ key: 'opens', window }));

    test('are never lowered by a late writer', async (a) => {
      await a.repository.saveUsage([snapshot(5), snapshot(2)]);
      await a.repository.saveUsage([snapshot(3), snapshot(4)]);
      expect(
        await a.repository.loadUsage({ org: ORG, windows: load(['day:2026-04-09', 'day:2026-04-10']) }),
      ).toEqual([snapshot(5), null]);
      await a.repository.saveUsage([snapshot(2 ** 53 - 1)]);
      expect(await a.repository.loadUsage({ org: ORG, windows: load(['day:2026-04-09']) })).toEqual([
        snapshot(2 ** 53 - 1),
      ]);
      await a.repository.saveUsage([]);
    });

    test('are those of one org, key and window', async (a) => {
      const others = [{ org: 'globex' }, { key: 'calls' }, { window: 'day:2026-04-08' }];
      const saved = [{}, ...others].map((over, index) => ({ ...snapshot(index), ...over }));
      await a.repository.saveUsage(saved);
      for (const one of saved)
        expect(await a.repository.loadUsage({ org: one.org, windows: [one] })).toEqual([one]);
    });

    test('have the end that was told last, and keep it where it is not told', async (a) => {
      const ends = [null, AT, null, AT + 9];
      const kept = [null, AT, AT, AT + 9];
      for (const [index, endsAt] of ends.entries()) {
        await a.repository.saveUsage([snapshot(index, { window: 'session:s', endsAt })]);
        expect(await a.repository.loadUsage({ org: ORG, windows: load(['session:s']) })).toMatchObject([
          { used: index, endsAt: kept[index] },
        ]);
      }
    });

    test('are forgotten when their window is over, and never without an end', async (a) => {
      await a.repository.saveUsage([
        snapshot(1),
        snapshot(2, { window: 'session:s', endsAt: null }),
        snapshot(3, { window: 'later', endsAt: AT + 9 }),
      ]);
      expect(await a.repository.purgeUsage({ before: AT })).toBe(0);
      expect(await a.repository.purgeUsage({ before: AT + 1 })).toBe(1);
      expect(
        await a.repository.loadUsage({ org: ORG, windows: load(['day:2026-04-09', 'session:s', 'later']) }),
      ).toMatchObject([null, { used: 2 }, { used: 3 }]);
    });
  });
}
