import type { Notices } from '../notices/notices.ts';
import { checkOrgId } from '../org/org-id.ts';
import type { OrgViews } from '../org/org-views.ts';
import type { UsageReport } from '../quota/types.ts';
import type { Wiring } from '../wiring.ts';
import { type AdminChoices, createAdminChoices } from './admin-choices.ts';
import { createBackground } from './background.ts';
import { createEvaluations, type ExactUsage } from './evaluations.ts';
import { createPreviews, type Previews } from './previews.ts';
import type { SyncOrg } from './row-actions.ts';
import { createStandings, type Standings } from './standings.ts';
import { createSweeps, type Sweeps } from './sweeps.ts';
import type { DegradationReport } from './types.ts';

/** The over-capacity lifecycle of all orgs. */
export interface Degradations extends AdminChoices, Previews, Pick<Sweeps, 'sweep' | 'startSweeper'> {
  /**
   * The current status: starts the clock if the org is over a limit, and clears everything if it is not.
   *
   * @param use - the org's use as just reported, so that both reports agree; counted by default.
   * @throws TollgateError `invalid_org_id`, `quota_unavailable`, `repository_unavailable`
   */
  report(org: string, use?: UsageReport): Promise<DegradationReport>;
  /** Evaluates the org in the background: after something that may have moved it over a limit or back. */
  reportSoon(org: string): void;
  readonly standing: Standings['of'];
  /** Stops sweepers and waits for work in progress. */
  close(): Promise<void>;
}

/**
 * Creates the lifecycle's service.
 *
 * @param services.usage - the org's use, counted as recently as a refusal requires.
 */
export function createDegradation(
  wiring: Omit<Wiring, 'access' | 'provider' | 'counters'>,
  services: {
    readonly usage: ExactUsage;
    readonly orgViews: Pick<OrgViews, 'fresh' | 'drop'>;
    readonly notices: Notices;
    readonly sync: SyncOrg;
  },
): Degradations {
  const { settings } = wiring;
  const { usage, orgViews, notices, sync } = services;
  const background = createBackground(wiring);
  const onFreed = (org: string) => {
    // The rows can be restored now, without waiting for the next sweep.
    if (settings.lifecycle !== null) background.run(`free ${org}`, () => sweeps.lookAt(org));
  };
  const evaluations = createEvaluations(wiring, { usage, orgViews, notices, onFreed });
  const sweeps = createSweeps(wiring, { evaluations, orgViews, sync });

  async function report(org: string, use?: UsageReport): Promise<DegradationReport> {
    checkOrgId(org, settings.orgIdPattern);
    return (await evaluations.evaluate(org, { lookAt: 'now', use: use ?? null })).report;
  }

  return {
    report,
    reportSoon(org) {
      if (settings.overCapacity !== null) background.run(`report ${org}`, () => report(org));
    },
    ...createAdminChoices(wiring, { usage, report }),
    ...createPreviews(wiring, usage),
    standing: createStandings(wiring, evaluations).of,
    sweep: sweeps.sweep,
    startSweeper: sweeps.startSweeper,
    async close() {
      await Promise.all([sweeps.close(), background.close()]);
    },
  };
}
