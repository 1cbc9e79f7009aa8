import { TollgateError } from '../errors/tollgate-error.ts';
import { checkOrgId } from '../org/org-id.ts';
import type { Wiring } from '../wiring.ts';
import { callProvider, configured } from './call-provider.ts';
import type { Customers } from './customers.ts';
import { checkPageUrl } from './page-url.ts';
import { checkReturnUrl } from './return-url.ts';

/**
 * Opens the provider's customer portal for an org.
 *
 * @throws TollgateError `invalid_org_id`, `invalid_return_url`, `portal_unsupported`, `provider_not_configured`, and the provider's errors.
 */
export type Portal = (request: {
  readonly org: string;
  readonly returnUrl: string;
}) => Promise<{ readonly url: string }>;

/** Creates the portal. An org without a customer gets one, and so does an org whose customer is gone. */
export function createPortal(
  wiring: Pick<Wiring, 'provider' | 'settings'>,
  customers: Pick<Customers, 'ensure' | 'serve'>,
): Portal {
  return async ({ org, returnUrl }) => {
    checkOrgId(org, wiring.settings.orgIdPattern);
    const provider = configured(wiring.provider);
    const { portal } = provider;
    if (portal === null) throw new TollgateError('portal_unsupported');
    const checked = checkReturnUrl(returnUrl, wiring.settings.returnOrigins);
    if (checked === null) throw new TollgateError('invalid_return_url');
    const { url } = await customers.serve(await customers.ensure(org), ({ customerId }) =>
      callProvider(() => portal.openPortal({ customerId, returnUrl: checked })),
    );
    return { url: checkPageUrl(url, provider.pageOrigins) };
  };
}
