import { readFileSync } from 'node:fs';
import { billingRoutes, matchPath, openApiDocument, type Route, rawPath } from '@tollgate/core';
import type { RawRequest, RawResponse } from '@tollgate/testing';
import { Ajv2020, type ValidateFunction } from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { expect } from 'vitest';

type Schema = Record<string, unknown>;

const contract = JSON.parse(
  readFileSync(new URL('../contract/openapp-billing.schema.json', import.meta.url), 'utf8'),
) as {
  $defs: Record<string, Schema>;
};
const document = openApiDocument(billingRoutes, { basePath: '' }) as {
  components: { schemas: Record<string, Schema> };
  paths: Record<string, Record<string, { responses: Record<string, { description: string }> }>>;
};

const ajv = new Ajv2020({ strict: false, allErrors: true });
addFormats.default(ajv);
ajv.addSchema({ ...contract, $id: 'contract' });
ajv.addSchema({ $id: 'openapi', components: document.components });

/** The published shape of each operation's answer; those without one are shapes of ours. */
const ANSWERS: Readonly<Record<string, string | null>> = {
  get_plans: 'PlansResponse',
  get_org_billing_plan: 'BillingPlanResponse',
  get_org_billing_upgrade_options: 'PlansResponse',
  get_org_billing_usage: 'QuotaReport',
  get_org_billing_degradation: 'DegradationStatus',
  put_org_billing_degradation_policy: 'DegradationStatus',
  post_org_billing_degradation_resource: 'DegradationStatus',
  post_org_billing_checkout: 'SubscriptionRef',
  post_org_billing_portal: 'PortalResponse',
  get_admin_quota_overrides: null,
  post_admin_quota_override: null,
  post_billing_webhook: 'BillingWebhookResponse',
};

const OURS: Readonly<Record<string, string>> = {
  get_admin_quota_overrides: 'QuotaOverrideListResponse',
  post_admin_quota_override: 'QuotaOverride',
};

const compiled = new Map<string, ValidateFunction>();

function validate(reference: string, value: unknown): void {
  const check = compiled.get(reference) ?? ajv.compile({ $ref: reference });
  compiled.set(reference, check);
  if (!check(value))
    expect({ reference, value, errors: check.errors }).toEqual({ reference, value, errors: null });
}

/** The operation a request is for; undefined when it is for none of ours. */
export function routeOf(request: Pick<RawRequest, 'method' | 'target'>): Route | undefined {
  const path = rawPath(request.target);
  const method = request.method === 'HEAD' ? 'GET' : request.method;
  return billingRoutes.find((route) => route.method === method && matchPath(route.path, path) !== null);
}

/** A4: an answer of ours matches the published shapes and the OpenAPI document. */
export function checkWire(request: Pick<RawRequest, 'method' | 'target'>, response: RawResponse): void {
  if (!response.headers.has('x-request-id') || response.body === '') return;
  const body: unknown = JSON.parse(response.body);
  if (response.status !== 200) {
    validate('contract#/$defs/ApiErrorResponse', body);
    validate('openapi#/components/schemas/ApiErrorResponse', body);
    expect(Object.keys(body as object).join()).toBe('message,error_code,correlationId');
    checkDescribed(routeOf(request), response.status, (body as { error_code: string }).error_code);
    return;
  }
  const operation = routeOf(request)?.operationId ?? '';
  const published = ANSWERS[operation];
  if (published === undefined) throw new Error(`No shape is known for the answer of ${operation}.`);
  if (published !== null) validate(`contract#/$defs/${published}`, body);
  validate(`openapi#/components/schemas/${published ?? OURS[operation]}`, body);
}

/** Whether the document names the code at that status of the operation. */
function checkDescribed(route: Route | undefined, status: number, code: string): void {
  if (route === undefined) return;
  const { responses } = document.paths[route.path]?.[route.method.toLowerCase()] ?? expect.fail();
  const described = responses[status]?.description ?? '';
  if (!described.includes(`\`${code}\``)) expect.fail(`${route.operationId} answers ${code}, not described.`);
}

/** The shapes both documents know, for comparing them. */
export function sharedShapes(): readonly {
  readonly name: string;
  readonly published: Schema;
  readonly ours: Schema;
}[] {
  return Object.entries(contract.$defs).flatMap(([name, published]) => {
    const ours = document.components.schemas[name];
    return ours === undefined ? [] : [{ name, published, ours }];
  });
}
