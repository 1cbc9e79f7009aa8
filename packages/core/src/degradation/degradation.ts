import { TollgateError } from '../errors/tollgate-error.ts';
import { createNotices, type Notices } from '../notices/notices.ts';
import { checkOrgId } from '../org/org-id.ts';
import type { AuditEntry, Pin, SelectionPolicy } from '../ports/billing-repository.ts';
import type { UsageReport } from '../quota/types.ts';
import type { Wiring } from '../wiring.ts';
import { createEvaluations, type Evaluations, type ExactUsage } from './evaluations.ts';
import { findRow, listRows } from './list-rows.ts';
import type { DegradationReport } from './types.ts';

/** An org's over-capacity status, and its admins' say in it. */
export interface Degradations {
  /**
   * The status as of now: starts the clock when the org is over a limit, clears everything when it is not.
   *
   * @param use - the org's use as just reported, so that both say the same; counted by default.
   * @throws TollgateError `invalid_org_id`, `quota_unavailable`, `repository_unavailable`
   */
  report(org: string, use?: UsageReport): Promise<DegradationReport>;
  /** Stores the policy and picks anew at once. @throws TollgateError `invalid_request` for no policy, and what `report` throws */
  setSelectionPolicy(request: {
    readonly org: string;
    readonly policy: SelectionPolicy;
    readonly actor: string;
  }): Promise<DegradationReport>;
  /**
   * Pins or unpins a row and picks anew at once. A pin whose row is gone stands in nobody's way.
   *
   * @throws TollgateError `invalid_request` for a key that is never wound down, `resource_not_found` for a row that is not the org's,
   * `keep_limit_reached` for more pins than the limit, and what `report` throws
   */
  setKeep(request: {
    readonly org: string;
    readonly resource: string;
    readonly id: string;
    readonly keep: boolean;
    readonly actor: string;
  }): Promise<DegradationReport>;
}

export const SELECTION_POLICIES = ['newest_first', 'oldest_first', 'least_recently_used', 'manual'] as const;

const MAX_ROW_ID_LENGTH = 255;

/**
 * Makes the lifecycle's service.
 *
 * @param services.usage - the org's use, counted as recently as a refusal would want it.
 * @param services.notices - who is told of crossings; nobody by default.
 */
export function createDegradation(
  wiring: Pick<Wiring, 'catalog' | 'settings' | 'repository' | 'inventory' | 'clock' | 'logger'>,
  services: { readonly usage: ExactUsage; readonly notices?: Notices },
): Degradations {
  const { catalog, settings, repository, inventory, clock } = wiring;
  const { usage, notices = createNotices(wiring) } = services;
  const evaluations: Evaluations = createEvaluations(wiring, { usage, notices });
  const timeoutMs = settings.inventoryTimeoutMs;

  async function report(org: string, use?: UsageReport): Promise<DegradationReport> {
    checkOrgId(org, settings.orgIdPattern);
    return (await evaluations.evaluate(org, { lookAt: 'now', use: use ?? null })).report;
  }

  function pinAudit(org: string, actor: string, pin: Pin, keep: boolean): AuditEntry {
    return {
      at: clock.now(),
      org,
      actor,
      action: 'pin.set',
      subject: `${pin.resource}/${pin.id}`,
      before: { keep: !keep },
      after: { keep },
    };
  }

  /** Unpins rows that no longer exist; answers how many. Reads the host's rows as a stream. */
  async function unpinGone(org: string, resource: string): Promise<number> {
    const { pins } = await repository.loadDegradation(org);
    const gone = new Set(pins.filter((pin) => pin.resource === resource).map((pin) => pin.id));
    for await (const row of listRows(inventory, { org, key: resource, timeoutMs })) {
      gone.delete(row.id);
      if (gone.size === 0) return 0;
    }
    for (const id of gone) {
      const pin = { resource, id };
      await repository.setPin({
        org,
        pin,
        keep: false,
        maxPins: null,
        audit: pinAudit(org, 'system', pin, false),
      });
    }
    return gone.size;
  }

  return {
    report,

    async setSelectionPolicy({ org, policy, actor }) {
      checkOrgId(org, settings.orgIdPattern);
      if (!SELECTION_POLICIES.includes(policy)) throw new TollgateError('invalid_request');
      const { policy: before } = await repository.loadDegradation(org);
      if (before !== policy) {
        const audit = {
          at: clock.now(),
          org,
          actor,
          action: 'policy.set',
          subject: org,
          before,
          after: policy,
        } as const;
        await repository.setSelectionPolicy({ org, policy, audit });
      }
      return report(org);
    },

    async setKeep({ org, resource, id, keep, actor }) {
      checkOrgId(org, settings.orgIdPattern);
      if (catalog.quota(resource)?.windsDown !== true) {
        throw new TollgateError('invalid_request', {
          message: 'Rows of this resource are never wound down.',
        });
      }
      if (!isRowId(id))
        throw new TollgateError('invalid_request', { message: 'The resource id is not valid.' });
      const row = await findRow(inventory, { org, key: resource, id, timeoutMs });
      if (row === null) throw new TollgateError('resource_not_found');

      const { items } = await usage(org);
      const maxPins = items.find((item) => item.key === resource)?.limit.value ?? null;
      const pin = { resource, id };
      const request = { org, pin, keep, maxPins, audit: pinAudit(org, actor, pin, keep) };
      let outcome = await repository.setPin(request);
      if (outcome === 'limit_reached' && (await unpinGone(org, resource)) > 0) {
        outcome = await repository.setPin(request);
      }
      if (outcome === 'limit_reached') throw new TollgateError('keep_limit_reached');
      return report(org);
    },
  };
}

function isRowId(id: unknown): id is string {
  // A NUL character cannot be stored by every repository.
  return typeof id === 'string' && id !== '' && id.length <= MAX_ROW_ID_LENGTH && !id.includes('\u0000');
}
