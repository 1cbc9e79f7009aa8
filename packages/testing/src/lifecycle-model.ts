import { TollgateError } from '@tollgate/core';
import { expect } from 'vitest';
import { type Seen, WARNED_MS } from './lifecycle/oracle.ts';
import {
  KEYS,
  type LifecycleHistory,
  type LifecycleStep,
  ORGS,
  type OrgName,
  type Who,
} from './lifecycle/steps.ts';
import { type LifecycleStores, SIGHTING_MS, World } from './lifecycle/world.ts';

export { type LifecycleHistory, type LifecycleStep, lifecycleHistories } from './lifecycle/steps.ts';
export type { LifecycleStores } from './lifecycle/world.ts';

const DAY = 86_400_000;
/** The number of sweeps after which nothing is left to do. */
const LAST_SWEEPS = 6;

/**
 * Plays months in the life of two orgs on a fresh, empty repository, with two processes that look, sweep and die. Compares every
 * report with a plain oracle, and checks at every callback what must hold at that moment (D1 to D5). Sweeps everything at the end;
 * the rows that are then suspended must be those the oracle names.
 *
 * @throws AssertionError at the first difference
 */
export async function playLifecycleHistory(
  stores: LifecycleStores,
  history: LifecycleHistory,
): Promise<void> {
  const world = new World(stores, history.removes);
  let didCrash = false;
  try {
    for (const step of history.steps) {
      // No two steps share a millisecond, because counts are distinguished by their age.
      await world.pass(1);
      await play(world, step);
      await world.settle();
      expect(world.broken).toEqual([]);
      didCrash ||= step.do === 'sweep' && step.diesAfter !== null;
    }
    await comeToRest(world, history);
    checkNotices(world, didCrash);
  } finally {
    await world.close();
  }
}

async function play(world: World, step: LifecycleStep): Promise<void> {
  switch (step.do) {
    case 'pass':
      return await world.pass(step.ms);
    case 'skew':
      return await world.skew(step.whose, step.ms);
    case 'create': {
      const { rows } = world.orgOf(step.org);
      const lastUsedAt = step.usedAgoMs === null ? null : world.now - step.usedAgoMs;
      for (let n = 0; n < step.rows; n += 1) {
        // Ids that sort neither by age nor by use.
        const id = `${((world.now + n) * 7_919) % 997}-${world.now}-${n}`;
        rows[step.key].push({ id, createdAt: world.now, lastUsedAt });
      }
      return;
    }
    case 'delete': {
      const { rows } = world.orgOf(step.org);
      const row = rows[step.key][step.nth];
      if (row === undefined) return;
      rows[step.key] = rows[step.key].filter((one) => one !== row);
      world.off.delete(`${step.org}/${step.key}/${row.id}`);
      return;
    }
    case 'limit':
      return await setLimit(world, step);
    case 'policy': {
      world.orgOf(step.org).policy = step.policy;
      const given = { org: step.org, policy: step.policy, actor: 'ada' };
      return agree(
        world,
        step.org,
        await world.billing(step.by).setSelectionPolicy(given),
        world.seenBy(step.by),
      );
    }
    case 'keep':
      return await keep(world, step);
    case 'look':
      return agree(
        world,
        step.org,
        await world.billing(step.by).degradation(step.org),
        world.seenBy(step.by),
      );
    case 'race':
      await world.skew(0, 0);
      await Promise.all([
        world.billing(0).sweep({ orgs: ORGS }),
        world.billing(1).sweep({ orgs: ORGS }),
        ...ORGS.flatMap((org) => [world.billing(0).degradation(org), world.billing(1).degradation(org)]),
      ]);
      return await adopt(world, world.seenBy(0));
    case 'sweep':
      return await sweep(world, step);
  }
}

/** Expects the oracle's report, and has the oracle remember what was stored with it. */
function agree(world: World, name: OrgName, report: unknown, seen: Seen): void {
  const org = world.orgOf(name);
  const expected = org.look(seen);
  expect(report).toEqual(expected.report);
  org.remembered = expected.remembered;
  world.sight(org);
}

/** After sweeps, each org must be stored as before, as a look during them may have found it, or as a look finds it now: the claim of a
 * dead process may have kept it from being looked at. */
async function adopt(world: World, seen: Seen, didDie = false): Promise<void> {
  await world.settle();
  world.swept(didDie);
  for (const [name, org] of world.orgs) {
    const { overCapacityAt, flags } = await world.stores.repository.loadDegradation(name);
    const stored = { since: overCapacityAt, flags };
    const looked = org.look(seen).remembered;
    expect([org.remembered, ...(world.found.get(name) ?? []), looked]).toContainEqual(stored);
    org.remembered = stored;
    world.sight(org);
  }
  world.found.clear();
}

async function sweep(world: World, step: Extract<LifecycleStep, { do: 'sweep' }>): Promise<void> {
  const { by, diesAfter, isHeard } = step;
  await world.pass(step.afterMs);
  world.meddlesIn = step.meddlesAt;
  const seen = world.seenBy(by);
  for (const org of world.orgs.values()) world.mayFind(org, by);
  if (diesAfter !== null) world.arm(by, diesAfter, isHeard);
  const swept = world.billing(by).sweep({ orgs: ORGS });
  if (diesAfter === null) await swept;
  else await swept.catch(() => undefined);
  await world.settle();
  if (diesAfter !== null) world.restart(by);
  world.meddlesIn = null;
  await adopt(world, seen, diesAfter !== null);
}

async function setLimit(world: World, step: Extract<LifecycleStep, { do: 'limit' }>): Promise<void> {
  const { org, key, limit, forMs, by } = step;
  const expiresAt = forMs === null ? null : world.now + forMs;
  world.orgOf(org).limits.set(key, { limit, endsAt: expiresAt });
  await world
    .billing(by)
    .setOverride({ subjectType: 'org', subjectId: org, key, limit, expiresAt, actor: 'olga' });
  await world.settle();
  agree(world, org, await world.billing(by).degradation(org), world.seenBy(by));
}

async function keep(world: World, step: Extract<LifecycleStep, { do: 'keep' }>): Promise<void> {
  const org = world.orgOf(step.org);
  const id = org.rows[step.key][step.nth]?.id ?? 'nothing';
  const given = { org: step.org, resource: step.key, id, keep: step.keep, actor: 'ada' };
  const answer = await world
    .billing(step.by)
    .setKeep(given)
    .catch((error: unknown) => (error instanceof TollgateError ? error.code : error));
  const refusal = refusalOf(world, step, id);
  if (refusal !== null) {
    expect(answer).toBe(refusal);
    return;
  }
  const name = `${step.key}/${id}`;
  if (step.keep) org.pins.add(name);
  else org.pins.delete(name);
  agree(world, step.org, answer, world.seenBy(step.by));
}

function refusalOf(world: World, step: Extract<LifecycleStep, { do: 'keep' }>, id: string): string | null {
  const org = world.orgOf(step.org);
  if (step.key === 'org_users') return 'invalid_request';
  if (id === 'nothing') return 'resource_not_found';
  if (!step.keep || org.isPinned(step.key, id)) return null;
  const limit = org.limitOf(step.key, world.seenBy(step.by).process);
  const livePins = org.rows[step.key].filter((row) => org.isPinned(step.key, row.id)).length;
  return limit !== null && livePins >= limit ? 'keep_limit_reached' : null;
}

/** Corrects the clocks, lets the claims of dead processes expire, and sweeps with both processes until nothing is left to do. */
async function comeToRest(world: World, { endsUnlimited }: LifecycleHistory): Promise<void> {
  await world.skew(0, 0);
  await world.pass(2 * DAY);
  for (const org of endsUnlimited ? ORGS : []) {
    for (const key of KEYS) {
      await setLimit(world, { do: 'limit', org, key, limit: -1, forMs: null, by: 0 });
      await world.pass(1);
    }
  }
  await passTurns(world);
  for (let sweeps = 0; sweeps < LAST_SWEEPS; sweeps += 1) {
    const who: Who = sweeps % 2 === 0 ? 0 : 1;
    // Only the first sweep is given the orgs: what has begun must be finished from the repository's sweep list alone.
    await world.billing(who).sweep(sweeps === 0 ? { orgs: ORGS } : {});
    await adopt(world, world.seenBy(who));
    await world.pass(SIGHTING_MS);
  }
  expect(world.broken).toEqual([]);
  for (const name of ORGS) {
    const report = await world.billing(0).degradation(name);
    agree(world, name, report, world.seenBy(0));
    const expected = report.flagged
      .filter(({ state }) => state !== 'flagged')
      .map(({ resource, id }) => `${name}/${resource}/${id}`);
    const off = [...world.off].filter((row) => row.startsWith(`${name}/`));
    expect(off.sort()).toEqual(expected.sort());
    const actions = await world.stores.repository.loadRowActions(name);
    expect(actions.map(({ resource, id }) => `${name}/${resource}/${id}`).sort()).toEqual(expected);
  }
}

/** Moves past the ends of stages and overrides that fall within the last sweeps. Rows that became due there would not be done in time. */
async function passTurns(world: World): Promise<void> {
  const turns: number[] = [];
  for (const [name, { limits }] of world.orgs) {
    const { overCapacityAt } = await world.stores.repository.loadDegradation(name);
    if (overCapacityAt !== null) turns.push(overCapacityAt + WARNED_MS);
    for (const { endsAt } of limits.values()) if (endsAt !== null) turns.push(endsAt);
  }
  for (const turn of turns.sort((a, b) => a - b)) {
    const inMs = turn - world.now;
    if (inMs > 0 && inMs <= LAST_SWEEPS * SIGHTING_MS) await world.pass(inMs);
  }
}

/** Expects each crossing to be notified at most once across all processes, and none to be missing unless a process died. */
function checkNotices(world: World, didCrash: boolean): void {
  expect(new Set(world.notices).size).toBe(world.notices.length);
  if (didCrash) return;
  const begun = world.notices.filter((line) => line.startsWith('capacity.warned'));
  const ended = world.notices.filter((line) => line.startsWith('capacity.cleared'));
  const open = [...world.orgs.values()].filter(({ remembered }) => remembered.since !== null);
  expect(begun.length - ended.length).toBe(open.length);
}
