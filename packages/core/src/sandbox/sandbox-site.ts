import { TollgateError } from '../errors/tollgate-error.ts';
import type { SandboxLedger } from './sandbox-ledger.ts';
import { confirmPage, messagePage, portalPage } from './sandbox-pages.ts';
import type { SandboxSession } from './sandbox-state.ts';

export interface SandboxPageRequest {
  readonly method: 'GET' | 'POST';
  readonly path: string;
  readonly query: URLSearchParams;
  readonly form: URLSearchParams;
}

export interface SandboxPageResponse {
  readonly status: number;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: string;
}

/** The sandbox's pages: `/checkout/<session>` to confirm a plan, `/portal/<portal>` to manage a subscription. */
export function createSandboxSite(options: {
  readonly ledger: SandboxLedger;
  readonly returnUrl: string | null;
  readonly tiers: readonly string[] | null;
  readonly cancelsAtPeriodEnd: boolean;
  /** Resolves when the app has received the events, or did not reply in time. */
  readonly delivered: () => Promise<unknown>;
}): (request: SandboxPageRequest) => Promise<SandboxPageResponse> {
  const { ledger, returnUrl, tiers, delivered } = options;

  async function checkout(request: SandboxPageRequest, id: string): Promise<SandboxPageResponse> {
    const session = ledger.session(id);
    if (session === null) return notFound();
    if (request.method === 'POST' && session.state === 'open') {
      const action = request.form.get('action') ?? 'confirm';
      if (action === 'decline') return redirect(`/checkout/${id}?declined`);
      if (action === 'cancel') ledger.expire(id);
      else if (action === 'confirm') ledger.confirm(id);
      else return { status: 400, body: messagePage('Not understood', 'There is no such button.') };
      await delivered();
      return result(ledger.session(id) ?? session, request);
    }
    if (session.state !== 'open') return result(session, request);
    return { status: 200, body: confirmPage(session, request.query.has('declined')) };
  }

  function result(session: SandboxSession, { method }: SandboxPageRequest): SandboxPageResponse {
    if (method === 'POST' && returnUrl !== null) {
      const url = new URL(returnUrl);
      url.searchParams.set('checkout', session.state === 'complete' ? 'success' : 'canceled');
      url.searchParams.set('session_id', session.id);
      return redirect(url.href);
    }
    if (session.state === 'complete') {
      return {
        status: 200,
        body: messagePage('Thank you', `${session.org} is on the plan ${session.tier}.`),
      };
    }
    return {
      status: method === 'POST' ? 200 : 410,
      body: messagePage('Not bought', 'This page is closed. Nothing was charged.'),
    };
  }

  async function portal(request: SandboxPageRequest, id: string): Promise<SandboxPageResponse> {
    const found = ledger.portal(id);
    if (found === null) return notFound();
    const subscriptions = ledger.subscriptionsOf(found.customerId);
    if (request.method === 'GET') return { status: 200, body: portalPage(found, subscriptions, tiers) };
    const subscriptionId = request.form.get('subscription') ?? '';
    if (!subscriptions.some((subscription) => subscription.id === subscriptionId)) return notFound();
    if (!manage(subscriptionId, request.form))
      return { status: 400, body: messagePage('Not understood', 'There is no such button.') };
    await delivered();
    return redirect(`/portal/${id}`);
  }

  function manage(subscriptionId: string, form: URLSearchParams): boolean {
    const tier = form.get('tier') ?? '';
    switch (form.get('action')) {
      case 'change':
        if (tier === '' || tier.length > 64 || tiers?.includes(tier) === false) return false;
        ledger.change({ subscriptionId, tier, terms: {}, key: null });
        return true;
      case 'cancel':
        ledger.cancel({ subscriptionId, atPeriodEnd: options.cancelsAtPeriodEnd, key: null });
        return true;
      case 'past_due':
        ledger.setStatus(subscriptionId, 'past_due');
        return true;
      case 'pay':
        ledger.setStatus(subscriptionId, 'active');
        return true;
      case 'renew':
        ledger.renew(subscriptionId);
        return true;
      default:
        return false;
    }
  }

  return async (request) => {
    const [, page, id, ...rest] = request.path.split('/');
    if (id === undefined || rest.length > 0) return notFound();
    try {
      if (page === 'checkout') return await checkout(request, id);
      if (page === 'portal') return await portal(request, id);
      return notFound();
    } catch (error) {
      // An action that comes too late, such as a button on a page left open.
      if (error instanceof TollgateError)
        return { status: 409, body: messagePage('Not done', 'This is not possible any more.') };
      throw error;
    }
  };
}

function redirect(location: string): SandboxPageResponse {
  return { status: 303, headers: { location }, body: '' };
}

function notFound(): SandboxPageResponse {
  return { status: 404, body: messagePage('Not found', 'There is no such page.') };
}
