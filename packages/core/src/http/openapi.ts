import * as z from 'zod';
import { ERROR_CODES, type ErrorCode } from '../errors/codes.ts';
import type { Route } from './route.ts';
import { apiError } from './wire/api-error.ts';
import { wireSchemas } from './wire/registry.ts';

type Json = Readonly<Record<string, unknown>>;

const SCHEMAS = '#/components/schemas/';

/**
 * The OpenAPI 3.1 document of a route table: a pure function of the table.
 *
 * @param options.basePath - where the routes are mounted; empty for the root.
 */
export function openApiDocument(routes: readonly Route[], options: { readonly basePath: string }): Json {
  const paths: Record<string, Record<string, Json>> = {};
  for (const route of routes) {
    const operations = paths[route.path] ?? {};
    operations[route.method.toLowerCase()] = toOperation(route);
    paths[route.path] = operations;
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Billing and quotas',
      version: '1',
      description:
        'Errors carry a stable `error_code`; integers are never above 2^53-1; instants are RFC 3339 in UTC.',
    },
    servers: [{ url: options.basePath === '' ? '/' : options.basePath }],
    paths,
    components: {
      schemas: toComponents(),
      securitySchemes: {
        ApiKey: { type: 'apiKey', in: 'header', name: 'X-API-Key' },
        Bearer: { type: 'http', scheme: 'bearer' },
      },
    },
  };
}

function toOperation(route: Route): Json {
  const asked = route.access !== 'public' && route.access !== 'signature';
  const parameters = [...pathParameters(route.path), ...queryParameters(route)];
  return {
    operationId: route.operationId,
    summary: route.summary,
    ...(asked
      ? { description: `Needs \`${route.access}\`.`, security: [{ ApiKey: [] }, { Bearer: [] }] }
      : {}),
    ...(parameters.length > 0 ? { parameters } : {}),
    ...(route.body === null
      ? {}
      : { requestBody: { required: true, content: toRequestContent(route.body) } }),
    responses: { 200: toSuccess(route), ...toErrors(errorsOf(route)) },
  };
}

function pathParameters(path: string): Json[] {
  return [...path.matchAll(/\{(\w+)\}/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

function queryParameters(route: Route): Json[] {
  return (route.query ?? []).map(({ name, description, schema }) => ({
    name,
    in: 'query',
    description,
    schema: inlineSchema(schema),
  }));
}

function toRequestContent(body: NonNullable<Route['body']>): Json {
  if (body === 'bytes') return { 'application/octet-stream': {}, 'application/json': {} };
  return { 'application/json': { schema: reference(body) } };
}

function toSuccess(route: Route): Json {
  const described = Object.entries(route.responses.headers ?? {}).map(([name, description]) => [
    name,
    { description, schema: { type: 'string' } },
  ]);
  return {
    description: 'Done.',
    headers: { 'X-Request-Id': { schema: { type: 'string' } }, ...Object.fromEntries(described) },
    content: { 'application/json': { schema: reference(route.responses.success) } },
  };
}

/** Every error code of the operation: its own, and those that follow from its path, its access and its body. */
function errorsOf(route: Route): readonly ErrorCode[] {
  const codes = new Set<ErrorCode>(route.responses.errors);
  if (route.path.includes('{id}')) codes.add('invalid_org_id');
  if (route.access !== 'public' && route.access !== 'signature')
    codes.add('unauthorized').add('forbidden').add('invalid_configuration');
  if (route.body !== null) {
    codes.add('body_too_large').add('body_timeout').add('unsupported_encoding').add('raw_body_unavailable');
  }
  if (route.body !== null && route.body !== 'bytes') {
    codes.add('invalid_request').add('unknown_field').add('unsupported_media_type').add('cross_site_request');
  }
  return [...codes.add('internal_error')];
}

function toErrors(codes: readonly ErrorCode[]): Record<string, Json> {
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of codes) {
    const { status } = ERROR_CODES[code];
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const responses: Record<string, Json> = {};
  for (const [status, answered] of byStatus) {
    responses[status] = {
      description: answered
        .sort()
        .map((code) => `\`${code}\``)
        .join(', '),
      content: { 'application/json': { schema: reference(apiError) } },
    };
  }
  return responses;
}

function reference(schema: z.ZodType): Json {
  const id = wireSchemas.get(schema)?.id;
  return id === undefined ? inlineSchema(schema) : { $ref: SCHEMAS + id };
}

function inlineSchema(schema: z.ZodType): Json {
  const { $schema: _, ...rest } = z.toJSONSchema(schema);
  return rest;
}

function toComponents(): Json {
  const { schemas } = z.toJSONSchema(wireSchemas, { uri: (id) => SCHEMAS + id });
  const named = Object.entries(schemas).map(([name, { $schema, $id, ...schema }]) => [name, schema] as const);
  return Object.fromEntries(named.sort(([a], [b]) => (a < b ? -1 : 1)));
}
