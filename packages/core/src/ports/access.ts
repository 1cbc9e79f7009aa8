import type { HttpRequest } from './http-message.ts';

/** What a billing operation asks the host to allow. `operator` is for the admin routes. */
export type Permission = 'billing:read' | 'billing:manage' | 'operator';

export interface AccessRequest {
  readonly request: HttpRequest;
  readonly permission: Permission;
  /** The org in the path, its form already checked; null on admin routes. */
  readonly org: string | null;
  /** As in docs/openapi.json; `friction` if it is `friction` that asks whether the caller is exempt from the delay. */
  readonly operationId: string;
}

/** Who calls (an opaque id for the audit trail) and whether they may. Null for an unknown caller, answered with 401. */
export type AccessAnswer = { readonly actor: string; readonly allowed: boolean } | null;

/**
 * The host's own authentication and authorization of billing calls. Called before anything is read or written.
 * Answer `allowed: false` for an org that does not exist too: both get the same 403.
 */
export type Access = (request: AccessRequest) => AccessAnswer | Promise<AccessAnswer>;
