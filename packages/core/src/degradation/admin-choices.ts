import { TollgateError } from '../errors/tollgate-error.ts';
import { checkActor } from '../org/check-actor.ts';
import { checkOrgId } from '../org/org-id.ts';
import type { AuditEntry, Pin, SelectionPolicy } from '../ports/billing-repository.ts';
import { isStorableText } from '../storable-text.ts';
import type { Wiring } from '../wiring.ts';
import type { ExactUsage } from './evaluations.ts';
import { findRow, listRows } from './list-rows.ts';
import { SELECTION_POLICIES } from './picking-order.ts';
import type { DegradationReport } from './types.ts';

/** What an org's admins decide about its wind-down. */
export interface AdminChoices {
  /** Stores the policy and picks the rows again. @throws TollgateError `invalid_request` for an unknown policy, and what `report` throws */
  setSelectionPolicy(request: {
    readonly org: string;
    readonly policy: SelectionPolicy;
    readonly actor: string;
  }): Promise<DegradationReport>;
  /**
   * Pins or unpins a row and picks the rows again. Pins of rows that are gone do not use up the limit.
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

const MAX_ROW_ID_LENGTH = 255;

export function createAdminChoices(
  wiring: Pick<Wiring, 'catalog' | 'settings' | 'repository' | 'inventory' | 'clock'>,
  services: {
    readonly usage: ExactUsage;
    readonly report: (org: string) => Promise<DegradationReport>;
  },
): AdminChoices {
  const { catalog, settings, repository, inventory, clock } = wiring;
  const { usage, report } = services;
  const timeoutMs = settings.inventoryTimeoutMs;

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

  /** Unpins rows that no longer exist; returns how many. Reads the host's rows as a stream. */
  async function unpinGone(org: string, resource: string): Promise<number> {
    const { pins } = await repository.loadDegradation(org);
    const gone = new Set(pins.filter((pin) => pin.resource === resource).map((pin) => pin.id));
    for await (const row of listRows(inventory, { org, key: resource, timeoutMs })) {
      gone.delete(row.id);
      if (gone.size === 0) return 0;
    }
    let unpinned = 0;
    for (const id of gone) {
      // A list that is read in pages may skip a row if others are deleted meanwhile.
      if ((await findRow(inventory, { org, key: resource, id, timeoutMs })) !== null) continue;
      const pin = { resource, id };
      const audit = pinAudit(org, 'system', pin, false);
      await repository.setPin({ org, pin, keep: false, maxPins: null, audit });
      unpinned += 1;
    }
    return unpinned;
  }

  return {
    async setSelectionPolicy({ org, policy, actor }) {
      checkOrgId(org, settings.orgIdPattern);
      checkActor(actor);
      if (!SELECTION_POLICIES.includes(policy)) throw new TollgateError('invalid_request');
      const { policy: before } = await repository.loadDegradation(org);
      if (before !== policy) {
        const facts = { action: 'policy.set', subject: org, before, after: policy } as const;
        await repository.setSelectionPolicy({
          org,
          policy,
          audit: { at: clock.now(), org, actor, ...facts },
        });
      }
      return report(org);
    },

    async setKeep({ org, resource, id, keep, actor }) {
      checkOrgId(org, settings.orgIdPattern);
      checkActor(actor);
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
  return typeof id === 'string' && id !== '' && id.length <= MAX_ROW_ID_LENGTH && isStorableText(id);
}
