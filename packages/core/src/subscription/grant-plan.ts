import type { Catalog } from '../catalog/catalog.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import { checkActor } from '../org/check-actor.ts';
import { GRANTED_BY_HAND } from '../org/granted-plan.ts';
import { checkOrgId } from '../org/org-id.ts';
import type { OrgViews } from '../org/org-views.ts';
import type { StoredSubscription, Subscription } from '../ports/billing-repository.ts';
import { isStorableInstant } from '../storable-instant.ts';
import type { Wiring } from '../wiring.ts';
import { createKeyedQueue } from './keyed-queue.ts';
import { hasEnded } from './next-subscription.ts';
import { changeAudit, differs, type OnSubscriptionChanged } from './subscription-changed.ts';

/** A try fails only where another process has changed the same org's grant meanwhile. */
const MAX_TRIES = 20;

export interface GrantRequest {
  readonly org: string;
  /** The slug of any tier but the default one; null takes the grant back. */
  readonly tier: string | null;
  /** When the grant ends by itself, epoch ms; null for never. @default null */
  readonly until?: number | null;
  readonly actor: string;
}

/**
 * Gives an org a tier, changes that grant, or takes it back. Asked for what is so already, it changes nothing.
 *
 * @throws TollgateError `invalid_org_id`, `unknown_tier`, `invalid_request` (the default tier, an invalid `until` or actor) and
 * `repository_unavailable`
 */
export type GrantPlan = (request: GrantRequest) => Promise<void>;

export function createGrantPlan(
  { catalog, settings, repository, clock }: Pick<Wiring, 'catalog' | 'settings' | 'repository' | 'clock'>,
  orgViews: Pick<OrgViews, 'drop'>,
  onSubscriptionChanged: OnSubscriptionChanged,
): GrantPlan {
  const queue = createKeyedQueue();

  async function write({ org, tier, until = null, actor }: GrantRequest): Promise<void> {
    for (let attempt = 0; attempt < MAX_TRIES; attempt += 1) {
      const { subscriptions } = await repository.loadOrg(org);
      const grants = subscriptions.filter(({ provider }) => provider === GRANTED_BY_HAND);
      const before = grants.find((grant) => !hasEnded(grant)) ?? null;
      const at = clock.now();
      // Numbered, so that of two processes which grant an org its first plan only one can store it.
      const { id, createdAt } = before ?? { id: `grant_${org}_${grants.length + 1}`, createdAt: at };
      const after = tier === null ? takenBack(before, at) : granted({ id, org, tier, createdAt, until });
      const isChange = after !== null && differs(before, after);
      if (isChange) {
        const audit = changeAudit({ before, after, actor, at });
        const expectedVersion = before?.version ?? null;
        const saved = await repository.saveSubscription({ subscription: after, expectedVersion, audit });
        if (saved === 'conflict') continue;
      }
      // In any case: it may have been another process that changed it.
      orgViews.drop(org);
      if (isChange) await onSubscriptionChanged(before, after);
      return;
    }
    throw new TollgateError('repository_unavailable', { retryAfterSeconds: 1 });
  }

  return async (request) => {
    const { org, tier, until = null, actor } = request;
    checkOrgId(org, settings.orgIdPattern);
    checkTier(tier, catalog);
    if (until !== null) checkUntil(until, tier, clock.now());
    checkActor(actor);
    await queue(org, () => write(request));
  };
}

function granted(grant: {
  readonly id: string;
  readonly org: string;
  readonly tier: string;
  readonly createdAt: number;
  readonly until: number | null;
}): Subscription {
  const { until, ...named } = grant;
  return {
    ...named,
    provider: GRANTED_BY_HAND,
    customerId: '',
    status: 'active',
    quantity: 1,
    interval: null,
    currentPeriodEndsAt: null,
    trialEndsAt: null,
    cancelsAt: until,
    scheduledTier: null,
    scheduledAt: null,
    pastDueAt: null,
    endedAt: null,
  };
}

function takenBack(grant: StoredSubscription | null, at: number): Subscription | null {
  if (grant === null) return null;
  const { version: _, ...stored } = grant;
  return { ...stored, status: 'canceled', cancelsAt: null, endedAt: Math.min(at, stored.cancelsAt ?? at) };
}

function checkTier(tier: string | null, catalog: Catalog): void {
  if (tier === null) return;
  if (catalog.tier(tier) === undefined) throw new TollgateError('unknown_tier');
  if (tier === catalog.defaultTier.slug) {
    throw new TollgateError('invalid_request', {
      message: 'The default tier is what an org has without a grant. Pass `tier: null` to take a grant back.',
    });
  }
}

function checkUntil(until: unknown, tier: string | null, now: number): void {
  if (tier === null) {
    throw new TollgateError('invalid_request', {
      message: 'A grant is taken back at once. To let it end later, grant its tier `until` then.',
    });
  }
  if (!isStorableInstant(until) || until <= now) {
    throw new TollgateError('invalid_request', {
      message: '`until` must be an instant to come, in whole epoch ms.',
    });
  }
}
