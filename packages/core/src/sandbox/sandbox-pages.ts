import type { ProviderSubscription } from '../ports/payment-provider.ts';
import { hasEnded } from '../subscription/next-subscription.ts';
import { Html, html } from './html.ts';
import type { SandboxPortal, SandboxSession } from './sandbox-state.ts';

const STYLE = new Html(`<style>
  body { font: 16px/1.5 system-ui, sans-serif; max-width: 34rem; margin: 4rem auto; padding: 0 1rem; color: #222 }
  form { display: inline } button { font: inherit; padding: .4rem .9rem; margin: .2rem .2rem .2rem 0 }
  dt { color: #666 } dd { margin: 0 0 .6rem; font-weight: 600 } small { color: #666 }
</style>`);

/** A whole page of the sandbox. */
export function sandboxPage(title: string, body: Html): string {
  return html`<!doctype html><html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>${title}</title>${STYLE}</head><body><h1>${title}</h1>${body}
<p><small>This is the sandbox payment provider. No money moves.</small></p></body></html>`.text;
}

/** The page that confirms a plan. */
export function confirmPage(session: SandboxSession, wasDeclined: boolean): string {
  const notice = wasDeclined ? html`<p role="alert">The card was declined. Nothing was charged.</p>` : html``;
  return sandboxPage(
    'Confirm your plan',
    html`${notice}<dl><dt>Plan</dt><dd>${session.tier}</dd><dt>Organization</dt><dd>${session.org}</dd></dl>
<form method="post">${button('confirm', 'Confirm')}${button('decline', 'Decline the card')}${button('cancel', 'Cancel')}</form>`,
  );
}

/** The page that shows a customer's subscriptions. */
export function portalPage(
  portal: SandboxPortal,
  subscriptions: readonly ProviderSubscription[],
  tiers: readonly string[] | null,
): string {
  const list = subscriptions.map((subscription) => subscriptionItem(subscription, tiers));
  const items = list.length === 0 ? html`<p>There is no subscription.</p>` : html`${list}`;
  return sandboxPage('Your subscription', html`${items}<p><a href="${portal.returnUrl}">Back</a></p>`);
}

/** A page that only shows a message. */
export function messagePage(title: string, message: string): string {
  return sandboxPage(title, html`<p>${message}</p>`);
}

function subscriptionItem(subscription: ProviderSubscription, tiers: readonly string[] | null): Html {
  const { id, tier, status, cancelsAt } = subscription;
  const ends = cancelsAt === null ? html`` : html`<dt>Ends</dt><dd>${new Date(cancelsAt).toISOString()}</dd>`;
  const facts = html`<dl><dt>Plan</dt><dd>${tier ?? 'none'}</dd><dt>Status</dt><dd>${status}</dd>${ends}</dl>`;
  if (hasEnded(subscription)) return html`<section>${facts}</section>`;
  const others = tiers?.filter((slug) => slug !== tier || cancelsAt !== null) ?? null;
  const change =
    others === null
      ? form(id, html`<input name="tier" aria-label="Plan" required>${button('change', 'Change plan')}`)
      : html`${others.map((slug) => form(id, html`<input type="hidden" name="tier" value="${slug}">${button('change', `Change to ${slug}`)}`))}`;
  const rest = [
    status === 'past_due' ? button('pay', 'Pay') : button('past_due', 'Let a payment fail'),
    button('renew', 'Renew'),
    button('cancel', 'Cancel subscription'),
  ];
  return html`<section>${facts}${change}${form(id, html`${rest}`)}</section>`;
}

function form(subscriptionId: string, content: Html): Html {
  return html`<form method="post"><input type="hidden" name="subscription" value="${subscriptionId}">${content}</form>`;
}

function button(action: string, label: string): Html {
  return html`<button name="action" value="${action}">${label}</button>`;
}
