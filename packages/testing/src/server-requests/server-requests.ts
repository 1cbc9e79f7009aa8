import type { SandboxProvider } from '@tollgate/core';
import type { RawRequest } from '../raw-exchange.ts';
import { bodyRequests } from './body-requests.ts';
import { ordinaryRequests } from './ordinary-requests.ts';
import { badOverrideRequests } from './override-requests.ts';
import { pathRequests } from './path-requests.ts';
import { refusedRequests } from './refused-requests.ts';
import type { ServerRequest } from './server-request.ts';
import { webhookRequests } from './webhook-requests.ts';

/** Every request of the server contract, in the order in which one engine gives the expected responses. */
export function serverRequests(provider: SandboxProvider): readonly ServerRequest[] {
  return [
    ...ordinaryRequests,
    ...refusedRequests,
    ...badOverrideRequests,
    ...bodyRequests,
    ...pathRequests,
    ...webhookRequests(provider),
  ];
}

/** The request with its target moved below the mount point. */
export function mountRequest(request: RawRequest, basePath: string): RawRequest {
  const target = request.target.replace(/^(https?:\/\/[^/]+)?/, (origin) => origin + basePath);
  return { ...request, target };
}
