import { missing } from '../api-error.ts';
import type { Books } from '../books.ts';
import { type Endpoint, endpoint, PAGED } from '../endpoint.ts';
import type { PortalConfigurationObject, PortalSessionObject } from '../objects.ts';
import { flag, listOf, oneOf, required, shape, text, url } from '../parameters.ts';
import { customerOf } from './customers.ts';

const HOUR_S = 3_600;

export const portalEndpoints: readonly Endpoint[] = [
  endpoint(
    'POST',
    '/v1/billing_portal/configurations',
    {
      features: shape({
        subscription_cancel: shape({ enabled: flag, mode: oneOf('at_period_end', 'immediately') }),
        subscription_update: shape({
          enabled: flag,
          default_allowed_updates: listOf(oneOf('price', 'quantity', 'promotion_code')),
          products: listOf(shape({ product: text, prices: listOf(text) })),
          proration_behavior: oneOf('create_prorations', 'always_invoice', 'none'),
        }),
        payment_method_update: shape({ enabled: flag }),
        invoice_history: shape({ enabled: flag }),
      }),
      default_return_url: url,
      business_profile: shape({ headline: text, privacy_policy_url: url, terms_of_service_url: url }),
    },
    ({ books, params }) => {
      const { subscription_cancel: cancel, subscription_update: update } = required(
        params.features,
        'features',
      );
      return addConfiguration(books, false, {
        subscription_cancel: { enabled: cancel?.enabled ?? false, mode: cancel?.mode ?? 'at_period_end' },
        subscription_update: { enabled: update?.enabled ?? false },
      });
    },
  ),
  endpoint(
    'GET',
    '/v1/billing_portal/configurations',
    { ...PAGED, is_default: flag, active: flag },
    ({ books, params }) => ({
      url: '/v1/billing_portal/configurations',
      list: [...books.portalConfigurations.values()]
        .reverse()
        .filter(({ is_default }) => (params.is_default ?? is_default) === is_default),
    }),
  ),
  endpoint(
    'POST',
    '/v1/billing_portal/sessions',
    { customer: text, return_url: url, configuration: text, locale: text },
    ({ books, params }) => {
      const customer = customerOf(books, required(params.customer, 'customer'), 'customer');
      const { configuration } = params;
      if (configuration !== undefined && !books.portalConfigurations.has(configuration))
        throw missing('configuration', configuration, 'configuration');
      const session: PortalSessionObject = {
        id: books.id('bps'),
        object: 'billing_portal.session',
        created: books.now(),
        customer: customer.id,
        configuration: configuration ?? defaultConfiguration(books).id,
        return_url: params.return_url ?? null,
        livemode: books.livemode,
      };
      books.portalSessions.set(session.id, session);
      return Object.assign({ ...session, url: books.pageUrl(`/p/session/${session.id}`) });
    },
  ),
];

/** The portal session of a page; null once it is an hour old. */
export function openPortalSession(books: Books, id: string): PortalSessionObject | null {
  const session = books.portalSessions.get(id);
  return session !== undefined && books.now() < session.created + HOUR_S ? session : null;
}

function defaultConfiguration(books: Books): PortalConfigurationObject {
  const found = [...books.portalConfigurations.values()].find(({ is_default }) => is_default);
  return (
    found ??
    addConfiguration(books, true, {
      subscription_cancel: { enabled: true, mode: 'at_period_end' },
      subscription_update: { enabled: true },
    })
  );
}

function addConfiguration(
  books: Books,
  isDefault: boolean,
  features: PortalConfigurationObject['features'],
): PortalConfigurationObject {
  const made: PortalConfigurationObject = {
    id: books.id('bpc'),
    object: 'billing_portal.configuration',
    created: books.now(),
    active: true,
    is_default: isDefault,
    features,
    livemode: books.livemode,
  };
  books.portalConfigurations.set(made.id, made);
  return made;
}
