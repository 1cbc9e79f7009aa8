import { describeError } from '../errors/describe-error.ts';
import { TollgateError } from '../errors/tollgate-error.ts';
import { checkOrgId } from '../org/org-id.ts';
import type { HttpReply, HttpRequest } from '../ports/http-message.ts';
import { billingRoutes } from './billing-routes.ts';
import { checkAccess } from './check-access.ts';
import { checkSite } from './check-site.ts';
import type { Engine } from './engine.ts';
import { decodeSegment, matchPath } from './raw-path.ts';
import { readJson } from './read-json.ts';
import { errorReply, jsonReply } from './reply.ts';
import { requestIdOf } from './request-id.ts';
import type { Route } from './route.ts';

/** Runs one operation from request to finished response. Never throws: every error becomes a response here, once. */
export async function dispatch(engine: Engine, route: Route, request: HttpRequest): Promise<HttpReply> {
  const requestId = requestIdOf(request, engine.ids);
  const headers = commonHeaders(route.path);
  try {
    const answer = await run(engine, route, request);
    return jsonReply(200, answer.body, requestId, { ...headers, ...answer.headers });
  } catch (error) {
    report(engine, error, { requestId, operationId: route.operationId, ...orgIn(route, request) });
    return errorReply(error, requestId, headers);
  }
}

/** Like `dispatch`, for a path of the table with any method: 405 with `Allow` if there is no such operation, 204 to `OPTIONS`. */
export async function dispatchPath(engine: Engine, path: string, request: HttpRequest): Promise<HttpReply> {
  const routes = billingRoutes.filter((route) => route.path === path);
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  const route = routes.find((candidate) => candidate.method === method);
  if (route !== undefined) return dispatch(engine, route, request);
  const requestId = requestIdOf(request, engine.ids);
  const methods = routes.flatMap((candidate) =>
    candidate.method === 'GET' ? ['GET', 'HEAD'] : [candidate.method],
  );
  const headers = { ...commonHeaders(path), Allow: [...methods, 'OPTIONS'].join(', ') };
  if (request.method === 'OPTIONS')
    return { status: 204, headers: { 'X-Request-Id': requestId, ...headers }, body: '' };
  return errorReply(new TollgateError('method_not_allowed'), requestId, headers);
}

async function run(engine: Engine, route: Route, request: HttpRequest) {
  const { settings, billing } = engine;
  const params = matchPath(route.path, request.path)?.params ?? new Map<string, string>();
  const org = route.path.includes('{id}') ? orgOf(params.get('id'), settings.orgIdPattern) : null;
  const provider = route.path.includes('{provider}') ? providerOf(params.get('provider'), engine) : '';
  let actor = '';
  if (route.access !== 'public' && route.access !== 'signature') {
    const { access: permission, operationId } = route;
    actor = await checkAccess(engine, { request, permission, org, operationId });
  }
  const body = await bodyOf(engine, route, request);
  return route.handle({ billing, engine, request, org: org ?? '', actor, provider, body });
}

function orgOf(segment: string | undefined, pattern: RegExp): string {
  return checkOrgId(segment === undefined ? null : decodeSegment(segment), pattern);
}

/** Checked before the body is read, so that no body is held for an unknown provider. */
function providerOf(segment: string | undefined, engine: Engine): string {
  const name = segment === undefined ? null : decodeSegment(segment);
  if (name === null || name !== engine.provider?.name) throw new TollgateError('unknown_provider');
  return name;
}

async function bodyOf(engine: Engine, route: Route, request: HttpRequest): Promise<unknown> {
  if (route.body === null) return null;
  if (route.body === 'bytes') return request.bytes();
  checkSite(request, engine.settings.allowedOrigins);
  return readJson(request, route.body, route.fieldErrors);
}

function commonHeaders(path: string): Record<string, string> {
  return /^\/(?:orgs|admin)\//.test(path) ? { 'Cache-Control': 'no-store' } : {};
}

/** Engines that have already logged that their webhooks cannot work. */
const warnedOfRawBody = new WeakSet<Engine>();

/** The org of the request's path, for the log. Where an error is logged, it has the form of one. */
function orgIn({ path }: Route, request: HttpRequest): { readonly org?: string | null } {
  const id = path.includes('{id}') ? matchPath(path, request.path)?.params.get('id') : undefined;
  return id === undefined ? {} : { org: decodeSegment(id) };
}

function report(
  engine: Engine,
  error: unknown,
  about: { readonly requestId: string; readonly operationId: string; readonly org?: string | null },
): void {
  if (!(error instanceof TollgateError) || error.code === 'internal_error') {
    engine.logger.error('A billing operation failed.', { ...about, ...describeError(error) });
  } else if (error.code === 'raw_body_unavailable') {
    if (warnedOfRawBody.has(engine)) return;
    warnedOfRawBody.add(engine);
    engine.logger.error(
      'Configuration error: webhooks cannot be verified, because a body parser takes their bytes and keeps none. ' +
        'Either mount billingRouter before the parser, or let the bytes be kept: ' +
        'express.json({ verify: keepRawBody }) on Express, app.use(keepRawBody) before the parser on Koa.',
      about,
    );
  } else if (error.status >= 500) {
    engine.logger.warn('A billing operation could not be done.', {
      ...about,
      code: error.code,
      ...describeError(error),
    });
  }
}
