import { OVERRIDES, type ServerRequest, send } from './server-request.ts';

const override = { subject_type: 'org', subject_id: 'acme', quota_key: 'devices', limit_value: 5 };

/** Invalid limits and instants (T22), as JSON text so that nothing is normalized. */
export const badOverrideRequests: readonly ServerRequest[] = [
  ...['-2', '1.5', '1e400', '-1e400', '9007199254740992', '"5"', '"0x10"', 'null', 'true', '[5]', '{}'].map(
    (limit): ServerRequest => ({
      name: `T22: the limit ${limit}`,
      request: send('POST', OVERRIDES, 'key-operator', overrideText('limit_value', limit)),
      status: 400,
      code: 'invalid_limit',
    }),
  ),
  ...['"tomorrow"', '"2026-02-30T00:00:00Z"', '"2026-04-09"', '1775736000', '""'].map(
    (instant): ServerRequest => ({
      name: `T22: the expiry ${instant}`,
      request: send('POST', OVERRIDES, 'key-operator', overrideText('expires_at', instant)),
      status: 400,
      code: 'invalid_request',
    }),
  ),
  {
    name: 'T22: an override without a limit',
    request: send('POST', OVERRIDES, 'key-operator', {
      subject_type: 'org',
      subject_id: 'acme',
      quota_key: 'devices',
    }),
    status: 400,
    code: 'invalid_request',
  },
  ...(
    [
      ['subject_type', '"galaxy"', 'unknown_subject_type'],
      ['quota_key', '"unicorns"', 'unknown_quota_key'],
      ['quota_key', '"__proto__"', 'unknown_quota_key'],
      ['period', '"fortnight"', 'unknown_period'],
      ['period', '"day"', 'unknown_period'],
      ['subject_id', '"a b"', 'invalid_org_id'],
      ['subject_id', '"a\\u0000b"', 'invalid_org_id'],
      ['reason', '"a\\u0000b"', 'invalid_request'],
      ['reason', '"cut \\ud83d"', 'invalid_request'],
      ['reason', '7', 'invalid_request'],
    ] as const
  ).map(
    ([field, value, code]): ServerRequest => ({
      name: `T22: the ${field} ${value} of an override`,
      request: send('POST', OVERRIDES, 'key-operator', overrideText(field, value)),
      status: 400,
      code,
    }),
  ),
];

function overrideText(field: string, value: string): string {
  const others = Object.entries(override).filter(([name]) => name !== field);
  return `{${others.map(([name, other]) => `"${name}":${JSON.stringify(other)},`).join('')}"${field}":${value}}`;
}
