import { defineRoute } from '../route.ts';
import { plansResponse, toPlansResponse } from '../wire/plans.ts';

export const planRoutes = [
  defineRoute({
    operationId: 'get_plans',
    summary: 'The published plans, by sort order.',
    method: 'GET',
    path: '/plans',
    access: 'public',
    body: null,
    responses: { success: plansResponse, errors: [] },
    handle: ({ billing, engine }) => ({ body: toPlansResponse(billing.plans(), engine.catalog) }),
  }),
];
