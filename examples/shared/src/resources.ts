import type { OpenAppQuotaKey } from '@tollgate/core';

/** A kind of row with its own POST, GET and DELETE routes. */
export interface Resource {
  readonly path: string;
  readonly key: OpenAppQuotaKey;
  /** The prefix of its ids. */
  readonly prefix: string;
}

export const resources: readonly Resource[] = [
  { path: '/devices', key: 'devices', prefix: 'dev' },
  { path: '/zones', key: 'zones', prefix: 'zone' },
  { path: '/entities', key: 'entities', prefix: 'ent' },
  { path: '/integrations', key: 'integrations', prefix: 'int' },
  { path: '/api-keys', key: 'api_keys', prefix: 'key' },
];

/** Sub-orgs: rows of the parent, with routes under it. */
export const subOrgs: Resource = { path: '/orgs/:id/sub-orgs', key: 'organizations', prefix: 'org' };
