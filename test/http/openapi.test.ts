import { readFileSync } from 'node:fs';
import { billingRoutes, openApiDocument } from '@tollgate/core';
import { expect, test } from 'vitest';
import { sharedShapes } from './wire-schemas.ts';

test('docs/openapi.json is what the route table says; if not, run: npm run openapi', () => {
  const written = JSON.parse(readFileSync(new URL('../../docs/openapi.json', import.meta.url), 'utf8'));
  expect(written).toEqual(
    JSON.parse(JSON.stringify(openApiDocument(billingRoutes, { basePath: '/api/v1' }))),
  );
});

test('the document is a pure function of the table', () => {
  const document = openApiDocument(billingRoutes, { basePath: '' });
  expect(openApiDocument(billingRoutes, { basePath: '' })).toEqual(document);
  expect(document.servers).toEqual([{ url: '/' }]);
  expect(Object.keys(openApiDocument(billingRoutes.slice(0, 1), { basePath: '' }).paths as object)).toEqual([
    '/plans',
  ]);
});

test('the twelve operations are there by their published names, methods and paths', () => {
  expect(
    billingRoutes
      .map(({ operationId, method, path, access }) => `${operationId} ${method} ${path} ${access}`)
      .sort(),
  ).toEqual([
    'get_admin_quota_overrides GET /admin/quota_overrides operator',
    'get_org_billing_degradation GET /orgs/{id}/billing/degradation billing:read',
    'get_org_billing_plan GET /orgs/{id}/billing/plan billing:read',
    'get_org_billing_upgrade_options GET /orgs/{id}/billing/upgrade-options billing:read',
    'get_org_billing_usage GET /orgs/{id}/billing/usage billing:read',
    'get_plans GET /plans public',
    'post_admin_quota_override POST /admin/quota_overrides operator',
    'post_billing_webhook POST /billing/webhooks/{provider} signature',
    'post_org_billing_checkout POST /orgs/{id}/billing/checkout billing:manage',
    'post_org_billing_degradation_resource POST /orgs/{id}/billing/degradation/resource billing:manage',
    'post_org_billing_portal POST /orgs/{id}/billing/portal billing:manage',
    'put_org_billing_degradation_policy PUT /orgs/{id}/billing/degradation/policy billing:manage',
  ]);
});

test('an operation lists what comes with how it is called, the faults of the host among it', () => {
  const { paths } = JSON.parse(JSON.stringify(openApiDocument(billingRoutes, { basePath: '' })));
  const failing = (path: string, method: string) => paths[path][method].responses[500].description;
  expect(failing('/plans', 'get')).toBe('`internal_error`');
  // `access` answered nobody's name; a parser took the body and left nothing.
  expect(failing('/orgs/{id}/billing/plan', 'get')).toBe('`internal_error`, `invalid_configuration`');
  expect(failing('/orgs/{id}/billing/checkout', 'post')).toBe(
    '`internal_error`, `invalid_configuration`, `raw_body_unavailable`',
  );
});

test('every reference of the document leads somewhere', () => {
  const document = JSON.parse(JSON.stringify(openApiDocument(billingRoutes, { basePath: '' })));
  const references = JSON.stringify(document).match(/"\$ref":"[^"]+"/g) ?? [];
  expect(references.length).toBeGreaterThan(20);
  for (const reference of references) {
    const name = /#\/components\/schemas\/(\w+)/.exec(reference)?.[1] ?? reference;
    expect(Object.keys(document.components.schemas)).toContain(name);
  }
});

// A4: the same fields, the same ones required, and none beside them.
test.each(sharedShapes())('the shape $name has the published fields', ({ name, published, ours }) => {
  const fields = (schema: Record<string, unknown>) =>
    Object.keys((schema.properties as object | undefined) ?? {}).sort();
  const required = (schema: Record<string, unknown>) =>
    [...((schema.required as string[] | undefined) ?? [])].sort();
  expect(ours.enum).toEqual(published.enum);
  expect(ours.additionalProperties).toEqual(published.additionalProperties);
  if (name === 'ApiErrorResponse') {
    // Ours always says all three, and never the fourth.
    expect(fields(ours)).toEqual(['correlationId', 'error_code', 'message']);
    return;
  }
  expect(fields(ours)).toEqual(fields(published));
  expect(required(ours)).toEqual(required(published));
});

test('no published shape is missing, but those the host itself decides', () => {
  const shared = new Set(sharedShapes().map(({ name }) => name));
  const contract = JSON.parse(
    readFileSync(new URL('../contract/openapp-billing.schema.json', import.meta.url), 'utf8'),
  ) as { $defs: object };
  expect(
    Object.keys(contract.$defs)
      .filter((name) => !shared.has(name))
      .sort(),
  ).toEqual(['BillingWebhookPayload', 'CapacityResource', 'QuotaKey']);
});
