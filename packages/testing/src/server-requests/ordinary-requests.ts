import {
  CHECKOUT,
  CORRELATION_ID,
  get,
  OVERRIDES,
  PLAN,
  PRIVATE_HEADERS,
  type ServerRequest,
  send,
} from './server-request.ts';

const override = { subject_type: 'org', subject_id: 'acme', quota_key: 'devices', limit_value: 5 };

/** Operations 1 to 11, used as intended. */
export const ordinaryRequests: readonly ServerRequest[] = [
  {
    name: 'the published plans are public',
    request: get('/plans'),
    status: 200,
    headers: {
      'content-type': 'application/json; charset=utf-8',
      'cache-control': null,
      'x-request-id': CORRELATION_ID,
    },
  },
  {
    name: 'an org reads its plan',
    request: get(PLAN, 'key-member'),
    status: 200,
    body: { org_id: 'acme', tier_id: 'free', subscription: null },
    headers: PRIVATE_HEADERS,
  },
  {
    name: 'a bearer token is as good as a key',
    request: { method: 'GET', target: PLAN, headers: { Authorization: 'Bearer key-member' } },
    status: 200,
  },
  {
    name: 'an X-Org header is ignored: the org is the one in the path',
    request: get(PLAN, 'key-member', { 'X-Org': 'globex' }),
    status: 200,
    body: { org_id: 'acme' },
  },
  {
    name: 'an org reads its upgrade options',
    request: get('/orgs/acme/billing/upgrade-options', 'key-member'),
    status: 200,
  },
  {
    name: 'an org reads its usage',
    request: get('/orgs/acme/billing/usage', 'key-member'),
    status: 200,
    body: { org_id: 'acme', tier_slug: 'free', degradation: null },
    headers: PRIVATE_HEADERS,
  },
  {
    name: 'usage of one session',
    request: get('/orgs/acme/billing/usage?session=call-1', 'key-member'),
    status: 200,
    body: { items: [{}, {}, {}, {}, { period: 'per_session', period_label: 'session:call-1' }] },
  },
  {
    name: 'an org within its limits is not over capacity',
    request: get('/orgs/acme/billing/degradation', 'key-member'),
    status: 200,
    body: {
      org_id: 'acme',
      stage: 'none',
      degradation_level: 0,
      over_capacity: false,
      overages: [],
      flagged: [],
    },
  },
  {
    name: 'an admin sets the selection policy',
    request: send('PUT', '/orgs/acme/billing/degradation/policy', 'key-admin', { policy: 'oldest_first' }),
    status: 200,
    body: { selection_policy: 'oldest_first' },
  },
  {
    name: 'an admin pins a row',
    request: send('POST', '/orgs/acme/billing/degradation/resource', 'key-admin', {
      resource: 'devices',
      resource_id: 'd1',
      keep: true,
    }),
    status: 200,
  },
  {
    name: 'a checkout answers a pending reference and the page in Location',
    request: send('POST', CHECKOUT, 'key-admin', { tier_slug: 'pro' }),
    status: 200,
    body: { provider: 'sandbox', tier_slug: 'pro', status: 'pending' },
    headers: PRIVATE_HEADERS,
  },
  {
    name: 'a checkout of the present plan answers a reference, and no page',
    request: send('POST', CHECKOUT, 'key-admin', { tier_slug: 'free' }),
    status: 200,
    body: { provider: 'sandbox', tier_slug: 'free' },
    headers: { location: null, ...PRIVATE_HEADERS },
  },
  {
    name: 'a portal answers its address',
    request: send('POST', '/orgs/acme/billing/portal', 'key-admin', {
      return_url: 'https://app.example.com/billing',
    }),
    status: 200,
  },
  {
    name: 'an operator sets an override',
    request: send('POST', OVERRIDES, 'key-operator', {
      ...override,
      subject_id: 'initech',
      reason: 'a pilot',
    }),
    status: 200,
    body: { subject_id: 'initech', limit_value: 5, period: null, expires_at: null, created_by: 'operator' },
  },
  {
    name: 'an override of -1 is unlimited',
    request: send('POST', OVERRIDES, 'key-operator', { ...override, subject_id: 'initech', limit_value: -1 }),
    status: 200,
    body: { limit_value: -1 },
  },
  {
    name: 'an override may end at an instant with an offset',
    request: send('POST', OVERRIDES, 'key-operator', {
      ...override,
      subject_id: 'initech',
      expires_at: '2030-01-01T00:00:00+02:00',
    }),
    status: 200,
    body: { expires_at: '2029-12-31T22:00:00.000Z' },
  },
  {
    name: 'an override that ended before all calendars of databases has ended',
    request: send('POST', OVERRIDES, 'key-operator', {
      ...override,
      subject_id: 'initech',
      expires_at: '1960-01-01T00:00:00Z',
    }),
    status: 200,
    body: { expires_at: '1970-01-01T00:00:00.000Z' },
  },
  {
    name: 'an operator lists the overrides',
    request: get(OVERRIDES, 'key-operator'),
    status: 200,
    headers: PRIVATE_HEADERS,
  },
  {
    name: 'an operator lists ended overrides as well',
    request: get(`${OVERRIDES}?include_expired=true`, 'key-operator'),
    status: 200,
  },
];
