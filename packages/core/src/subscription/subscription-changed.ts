import { describeError } from '../errors/describe-error.ts';
import type { AuditEntry, Subscription } from '../ports/billing-repository.ts';
import type { Logger } from '../ports/logger.ts';

/** Called after a change is durable, with the state before (null for a new subscription) and after. If it fails, nothing is undone. */
export type OnSubscriptionChanged = (
  before: Subscription | null,
  after: Subscription,
) => void | Promise<void>;

/** The listener, with its failures logged and not passed on. */
export function harmless(
  listener: OnSubscriptionChanged,
  logger: Logger,
): (...change: Parameters<OnSubscriptionChanged>) => Promise<void> {
  return async (before, after) => {
    try {
      await listener(before, after);
    } catch (error) {
      logger.error('A listener to subscription changes failed.', {
        org: after.org,
        ...describeError(error),
      });
    }
  };
}

/** Whether anything other than the stored version differs. */
export function differs(before: Subscription | null, after: Subscription): boolean {
  if (before === null) return true;
  return (Object.keys(after) as (keyof Subscription)[]).some((field) => before[field] !== after[field]);
}

/** The audit entry of a change; null if nothing changed. */
export function changeAudit(request: {
  readonly before: Subscription | null;
  readonly after: Subscription;
  readonly actor: string;
  readonly at: number;
}): AuditEntry | null {
  const { before, after, actor, at } = request;
  if (!differs(before, after)) return null;
  return {
    at,
    org: after.org,
    actor,
    action: 'subscription.changed',
    subject: after.id,
    before: before === null ? null : facts(before),
    after: facts(after),
  };
}

function facts(subscription: Subscription) {
  const { tier, status, quantity, cancelsAt, scheduledTier, endedAt } = subscription;
  return { tier, status, quantity, cancelsAt, scheduledTier, endedAt };
}
