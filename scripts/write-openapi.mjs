// Writes docs/openapi.json from the route table: npm run openapi
import { writeFileSync } from 'node:fs';
import { billingRoutes, openApiDocument } from '@tollgate/core';

const document = openApiDocument(billingRoutes, { basePath: '/api/v1' });
writeFileSync(new URL('../docs/openapi.json', import.meta.url), `${JSON.stringify(document, null, 2)}\n`);
