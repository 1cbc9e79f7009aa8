import type { Access } from '@tollgate/core';

/** The caller that a demo credential identifies. */
export interface Caller {
  readonly actor: string;
  /** The caller's org; null for the operator, who belongs to none. */
  readonly org: string | null;
  readonly permissions: ReadonlySet<string>;
}

/** The demo credentials: the key itself, as `X-API-Key` or as a Bearer token. */
export const credentials: ReadonlyMap<string, Caller> = new Map([
  ['demo-admin', caller('demo-admin', 'acme', ['billing:read', 'billing:manage'])],
  ['demo-member', caller('demo-member', 'acme', ['billing:read'])],
  ['demo-other', caller('demo-other', 'globex', ['billing:read', 'billing:manage'])],
  ['demo-operator', caller('demo-operator', null, ['operator'])],
]);

/** Who sends a request; null if unknown. */
export function callerOf(header: (name: string) => string | undefined): Caller | null {
  const bearer = /^Bearer +(\S+)$/i.exec(header('authorization') ?? '')?.[1];
  return credentials.get(header('x-api-key') ?? bearer ?? '') ?? null;
}

/** The org's members, who count as `org_users`. */
export function membersOf(org: string): readonly string[] {
  return [...credentials.values()].filter((member) => member.org === org).map((member) => member.actor);
}

/** Tells the engine who is calling and whether they may. */
export const access: Access = ({ request, permission, org }) => {
  const caller = callerOf((name) => request.header(name));
  if (caller === null) return null;
  const isTheirs = permission === 'operator' || caller.org === org;
  return { actor: caller.actor, allowed: isTheirs && caller.permissions.has(permission) };
};

function caller(actor: string, org: string | null, permissions: readonly string[]): Caller {
  return { actor, org, permissions: new Set(permissions) };
}
