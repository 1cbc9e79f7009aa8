import { ApiError } from './api-error.ts';
import type { Books, Card } from './books.ts';
import { settle } from './due.ts';
import { confirmSession } from './endpoints/checkout.ts';
import { openPortalSession } from './endpoints/portal.ts';
import { attempt, type Dunning } from './invoices.ts';
import { changeItems, end, hasEnded } from './subscriptions.ts';

/** A request to a hosted page. */
export interface PageRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly form: URLSearchParams;
}

export interface PageResponse {
  readonly status: number;
  readonly location?: string;
  readonly body: string;
}

/** Gives a customer a card; one that works pays what is owed. */
export function giveCard(books: Books, customer: string, card: Card, dunning: Dunning): void {
  books.cards.set(customer, card);
  if (card !== 'works') return;
  for (const invoice of [...books.invoices.values()]) {
    const subscription = books.subscriptions.get(invoice.subscription);
    if (
      invoice.customer !== customer ||
      invoice.status !== 'open' ||
      subscription === undefined ||
      hasEnded(subscription)
    )
      continue;
    attempt(books, invoice, dunning);
    settle(books, subscription);
  }
}

/** The hosted checkout page and the customer portal, as plain forms. */
export function createPages(books: Books, dunning: Dunning): (request: PageRequest) => PageResponse {
  function checkout(request: PageRequest, id: string): PageResponse {
    const session = books.sessions.get(id);
    if (session === undefined) return page(404, 'Not found', 'There is no such page.');
    if (session.status !== 'open') return page(410, 'Not open', `This page is ${session.status}.`);
    if (request.method === 'GET') {
      const lines = session.line_items.map(
        ({ price, quantity }) => `<p>${quantity} × ${escaped(price.nickname ?? price.id)}</p>`,
      );
      return page(
        200,
        'Subscribe',
        `${lines.join('')}<form method="post"><button name="action" value="confirm">Subscribe</button>
<button name="action" value="decline">Try a card that is declined</button><button name="action" value="cancel">Back</button></form>`,
      );
    }
    const action = request.form.get('action') ?? 'confirm';
    if (action === 'cancel')
      return { status: 303, location: session.cancel_url ?? session.success_url, body: '' };
    books.cards.set(session.customer, action === 'decline' ? 'declined' : 'works');
    confirmSession(books, id, dunning);
    return { status: 303, location: session.success_url.replaceAll('{CHECKOUT_SESSION_ID}', id), body: '' };
  }

  function portal(request: PageRequest, id: string): PageResponse {
    const session = openPortalSession(books, id);
    if (session === null) return page(404, 'Not found', 'There is no such page.');
    const subscriptions = [...books.subscriptions.values()].filter(
      (one) => one.customer === session.customer && !hasEnded(one),
    );
    if (request.method === 'GET') {
      const forms = subscriptions.map(
        ({ id: subscription, status }) =>
          `<form method="post"><p>${subscription}: ${status}</p><input type="hidden" name="subscription" value="${subscription}">
<input name="price"><button name="action" value="change">Change</button><button name="action" value="cancel">Cancel</button>
<button name="action" value="resume">Do not cancel</button><button name="action" value="card">New card</button></form>`,
      );
      return page(
        200,
        'Billing',
        `${forms.join('')}<a href="${escaped(session.return_url ?? '/')}">Back</a>`,
      );
    }
    const subscription = subscriptions.find((one) => one.id === request.form.get('subscription'));
    if (subscription === undefined) return page(404, 'Not found', 'There is no such subscription.');
    const configuration = books.portalConfigurations.get(session.configuration);
    switch (request.form.get('action')) {
      case 'change': {
        const price = books.prices.get(request.form.get('price') ?? '');
        const [item] = subscription.items;
        if (price === undefined || item === undefined)
          return page(400, 'Not done', 'There is no such price.');
        const change = { id: item.id, price, quantity: item.quantity, deleted: false };
        changeItems(
          books,
          subscription,
          [change],
          { proration: 'create_prorations', payment: 'allow_incomplete' },
          dunning,
        );
        break;
      }
      case 'cancel':
        if (configuration?.features.subscription_cancel.mode === 'immediately') {
          end(books, subscription);
          return { status: 303, location: request.path, body: '' };
        }
        subscription.cancel_at_period_end = true;
        subscription.cancel_at = subscription.items[0]?.current_period_end ?? books.now();
        subscription.canceled_at = books.now();
        break;
      case 'resume':
        subscription.cancel_at_period_end = false;
        subscription.cancel_at = null;
        subscription.canceled_at = null;
        break;
      case 'card':
        giveCard(books, session.customer, 'works', dunning);
        return { status: 303, location: request.path, body: '' };
      default:
        return page(400, 'Not understood', 'There is no such button.');
    }
    books.emit('customer.subscription.updated', subscription);
    return { status: 303, location: request.path, body: '' };
  }

  return (request) => {
    const checkoutId = /^\/c\/pay\/([^/]+)$/.exec(request.path)?.[1];
    const portalId = /^\/p\/session\/([^/]+)$/.exec(request.path)?.[1];
    try {
      if (checkoutId !== undefined) return checkout(request, checkoutId);
      if (portalId !== undefined) return portal(request, portalId);
      return page(404, 'Not found', 'There is no such page.');
    } catch (error) {
      if (error instanceof ApiError) return page(error.status, 'Not done', escaped(error.message));
      throw error;
    }
  };
}

function page(status: number, title: string, content: string): PageResponse {
  return {
    status,
    body: `<!doctype html><meta charset="utf-8"><title>${title}</title><h1>${title}</h1>${content}`,
  };
}

function escaped(value: string): string {
  return value.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
