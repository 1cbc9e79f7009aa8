import type { BillingRepository } from '../../ports/billing-repository.ts';
import { writeAudit } from './audit.ts';
import { watchFrom } from './sweeps.ts';
import type { Synchronous } from './synchronous.ts';
import { byTexts, type DegradationRow, type TableStore } from './tables.ts';

type DegradationMethods = 'loadDegradation' | 'setSelectionPolicy' | 'setPin' | 'saveDegradation';

const NOTHING: DegradationRow = {
  policy: null,
  overCapacityAt: null,
  stage: 'none',
  flags: [],
  pins: [],
  version: 0,
};

/** The repository's methods for the over-capacity lifecycle. */
export function degradationMethods({
  tables,
  clock,
}: TableStore): Synchronous<Pick<BillingRepository, DegradationMethods>> {
  const { degradations } = tables;
  const rowOf = (org: string) => degradations.get(org) ?? NOTHING;

  function write(org: string, change: Partial<DegradationRow>): void {
    const row = rowOf(org);
    degradations.set(org, { ...row, ...change, version: row.version + 1 });
  }

  return {
    loadDegradation: (org) => ({ ...rowOf(org), readAt: clock.now() }),
    setSelectionPolicy({ org, policy, audit }) {
      write(org, { policy });
      writeAudit(tables, audit);
    },
    setPin({ org, pin, keep, maxPins, audit }) {
      const { pins } = rowOf(org);
      const others = pins.filter(({ resource, id }) => resource !== pin.resource || id !== pin.id);
      if (others.length < pins.length === keep) return 'saved';
      const ofResource = others.filter(({ resource }) => resource === pin.resource);
      if (keep && maxPins !== null && ofResource.length >= maxPins) return 'limit_reached';
      const kept = keep ? [...others, pin] : others;
      write(org, { pins: kept.sort(byTexts(({ resource, id }) => [resource, id])) });
      writeAudit(tables, audit);
      return 'saved';
    },
    saveDegradation({ org, expectedVersion, overCapacityAt, stage, flags, lookAt }) {
      if (rowOf(org).version !== expectedVersion) return 'conflict';
      write(org, { overCapacityAt, stage, flags });
      if (lookAt !== null) watchFrom(tables, org, lookAt);
      return 'saved';
    },
  };
}
