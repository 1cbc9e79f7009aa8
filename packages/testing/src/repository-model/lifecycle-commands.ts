import fc from 'fast-check';
import {
  at,
  auditOf,
  type Command,
  command,
  drift,
  durationMs,
  label,
  offsetMs,
  offsetOrNull,
  org,
  resource,
  rowId,
} from './command.ts';

const saveDegradation = command(
  'saveDegradation',
  fc.record({
    org,
    drift,
    stage: fc.constantFrom('none', 'warned', 'degraded'),
    overCapacity: offsetOrNull,
    lookAt: offsetOrNull,
    flags: fc.array(fc.record({ resource, id: rowId, marked: offsetOrNull }), { maxLength: 3 }),
  }),
  async ({ repository, now }, given) => {
    const { version } = await repository.loadDegradation(given.org);
    return repository.saveDegradation({
      org: given.org,
      expectedVersion: version + given.drift,
      overCapacityAt: at(now, given.overCapacity),
      stage: given.stage,
      flags: given.flags.map(({ marked, ...flag }) => {
        return { ...flag, state: 'flagged', flaggedAt: now, markedAt: at(now, marked) };
      }),
      lookAt: at(now, given.lookAt),
    });
  },
);

const claimSweeps = command(
  'claimSweeps',
  fc.record({
    org: fc.option(org, { freq: 1 }),
    due: offsetOrNull,
    ...{ limit: fc.constantFrom(1, 2, 9) },
    leaseMs: durationMs,
  }),
  async ({ repository, fences, now }, { due, ...request }) => {
    const claimed = await repository.claimSweeps({ ...request, dueAt: at(now, due) });
    for (const claim of claimed.claims) fences.set(claim.org, claim.fence);
    return claimed;
  },
);

/** Commands on the over-capacity lifecycle, the sweep's list and usage snapshots. */
export const lifecycleCommands: readonly fc.Arbitrary<Command>[] = [
  command(
    'setSelectionPolicy',
    fc.record({ org, policy: fc.constantFrom('newest_first', 'manual') }),
    ({ repository, now }, given) =>
      repository.setSelectionPolicy({ ...given, audit: auditOf(now, given.policy, given.org) }),
  ),
  command(
    'setPin',
    fc.record({
      org,
      pin: fc.record({ resource, id: rowId }),
      keep: fc.boolean(),
      maxPins: fc.constantFrom(0, 2, null),
    }),
    ({ repository, now }, given) =>
      repository.setPin({ ...given, audit: auditOf(now, given.pin.id, given.org) }),
  ),
  saveDegradation,
  command('loadDegradation', org, ({ repository }, name) => repository.loadDegradation(name)),
  command('watchOrgs', fc.array(org, { maxLength: 3 }), ({ repository }, orgs) =>
    repository.watchOrgs({ orgs }),
  ),
  claimSweeps,
  command(
    'saveRowActions',
    fc.record({
      org,
      leaseMs: durationMs,
      save: fc.uniqueArray(fc.record({ resource, id: rowId, state: fc.constantFrom('sighted', 'done') }), {
        maxLength: 2,
        selector: ({ resource: name, id }) => label([name, id]),
      }),
      forget: fc.array(fc.record({ resource, id: rowId }), { maxLength: 2 }),
    }),
    async ({ repository, fences, now }, { save, ...given }) => {
      const actions = save.map((row) => ({ ...row, action: 'suspend', key: 'k', sightedAt: now }) as const);
      const saved = await repository.saveRowActions({
        ...given,
        fence: fences.get(given.org) ?? 0,
        save: actions,
      });
      return [saved, await repository.loadRowActions(given.org)];
    },
  ),
  command('finishSweep', fc.record({ org, lookAt: offsetOrNull }), ({ repository, fences, now }, given) =>
    repository.finishSweep({
      org: given.org,
      fence: fences.get(given.org) ?? 0,
      lookAt: at(now, given.lookAt),
    }),
  ),
  command(
    'moveCrossing',
    fc.record({
      org,
      subject: fc.constant('near'),
      spell: fc.constantFrom(1, 2, 3),
      level: fc.constantFrom(0, 0.1, 0.8, 1),
    }),
    ({ repository }, request) => repository.moveCrossing(request),
  ),
  command(
    'saveUsage',
    fc.array(
      fc.record({
        org,
        key: resource,
        window: fc.constantFrom('day:1', 'day:2'),
        used: fc.constantFrom(0, 3, 2 ** 40),
        offset: offsetMs,
      }),
      { maxLength: 3 },
    ),
    ({ repository }, snapshots) => {
      // All writers give a window the same end.
      const ends = { 'day:1': 1_000, 'day:2': 2_000 };
      return repository.saveUsage(
        snapshots.map(({ offset: _, ...snapshot }) => ({
          ...snapshot,
          endsAt: ends[snapshot.window as keyof typeof ends],
        })),
      );
    },
  ),
  command('loadUsage', org, ({ repository }, name) =>
    repository.loadUsage({
      org: name,
      windows: [
        { key: 'zones', window: 'day:2' },
        { key: 'devices', window: 'never' },
        { key: 'devices', window: 'day:1' },
      ],
    }),
  ),
  command('purgeUsage', fc.constantFrom(1_000, 1_001, 2_001), ({ repository }, before) =>
    repository.purgeUsage({ before }),
  ),
];
