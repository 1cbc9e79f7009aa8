import type { PrincipalKey } from '../server-fixture.ts';
import {
  CHECKOUT,
  get,
  OVERRIDES,
  PLAN,
  PRIVATE_HEADERS,
  type ServerRequest,
  send,
} from './server-request.ts';

/** Well-formed requests that this caller may not make, or that do not apply to this org. */
export const refusedRequests: readonly ServerRequest[] = [
  {
    name: 'T14: without an identity',
    request: get(PLAN),
    status: 401,
    code: 'unauthorized',
    headers: PRIVATE_HEADERS,
  },
  {
    name: 'T14: an unknown key',
    request: get(PLAN, 'key-nobody' as PrincipalKey),
    status: 401,
    code: 'unauthorized',
  },
  {
    name: "T14: another org's plan",
    request: get(PLAN, 'key-other'),
    status: 403,
    code: 'forbidden',
    headers: PRIVATE_HEADERS,
  },
  {
    name: 'T14: the plan of an org that does not exist',
    request: get('/orgs/nowhere/billing/plan', 'key-other'),
    status: 403,
    code: 'forbidden',
  },
  {
    name: 'a member may not change the plan',
    request: send('POST', CHECKOUT, 'key-member', { tier_slug: 'pro' }),
    status: 403,
    code: 'forbidden',
  },
  {
    name: 'an admin of an org is no operator',
    request: get(OVERRIDES, 'key-admin'),
    status: 403,
    code: 'forbidden',
  },
  {
    name: 'who may not change the plan is not told what is wrong with the body',
    request: send('POST', CHECKOUT, 'key-member', { nonsense: true }),
    status: 403,
    code: 'forbidden',
  },
  {
    name: 'T28: an unknown tier',
    request: send('POST', CHECKOUT, 'key-admin', { tier_slug: 'gold' }),
    status: 400,
    code: 'unknown_tier',
  },
  {
    name: 'T28: an unpublished tier',
    request: send('POST', CHECKOUT, 'key-admin', { tier_slug: 'enterprise' }),
    status: 400,
    code: 'unknown_tier',
  },
  {
    name: 'T19: a return address elsewhere',
    request: send('POST', '/orgs/acme/billing/portal', 'key-admin', {
      return_url: 'https://app.example.com.evil.test/',
    }),
    status: 400,
    code: 'invalid_return_url',
  },
  {
    name: 'T31: a row of nobody',
    request: send('POST', '/orgs/acme/billing/degradation/resource', 'key-admin', {
      resource: 'devices',
      resource_id: 'd9',
      keep: true,
    }),
    status: 404,
    code: 'resource_not_found',
  },
  {
    name: 'a policy that is none',
    request: send('PUT', '/orgs/acme/billing/degradation/policy', 'key-admin', { policy: 'random' }),
    status: 400,
    code: 'invalid_request',
  },
  {
    name: 'usage of a session id that is none',
    request: get('/orgs/acme/billing/usage?session=a%20b', 'key-member'),
    status: 400,
    code: 'invalid_request',
  },
  {
    name: 'a switch that is neither on nor off',
    request: get(`${OVERRIDES}?include_expired=yes`, 'key-operator'),
    status: 400,
    code: 'invalid_request',
  },
];
