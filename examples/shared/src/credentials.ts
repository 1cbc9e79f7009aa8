import type { Access } from '@tollgate/core';

/** Who a demo credential stands for. */
export interface Caller {
  readonly actor: string;
  /** The org it belongs to; null for the operator, who belongs to none. */
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

/** Who sends a request; null for nobody we know. */
export function callerOf(header: (name: string) => string | undefined): Caller | null {
  const bearer = /^Bearer +(\S+)$/i.exec(header('authorization') ?? '')?.[1];
  return credentials.get(header('x-api-key') ?? bearer ?? '') ?? null;
}

/** The org's people: they count as `org_users`. */
export function membersOf(org: string): readonly string[] {
  return [...credentials.values()].filter((member) => member.org === org).map((member) => member.actor);
}

/** The example's answer to the engine's one question: who calls, and may they. */
export const access: Access = ({ request, permission, org }) => {
  const caller = callerOf((name) => request.header(name));
  if (caller === null) return null;
  const isTheirs = permission === 'operator' || caller.org === org;
  return { actor: caller.actor, allowed: isTheirs && caller.permissions.has(permission) };
};

function caller(actor: string, org: string | null, permissions: readonly string[]): Caller {
  return { actor, org, permissions: new Set(permissions) };
}
