import { serverContract } from '@tollgate/testing';
import { expect, test, vi } from 'vitest';
import { expressHosts } from './express-hosts.ts';
import { checkWire } from './wire-schemas.ts';

// The adapter takes its router from the host's own Express: here that is version 4.
vi.mock('express', () => import('express4'));

test('the adapter under test runs on Express 4', async () => {
  const { Router } = await import('express');
  expect(Router).toBe((await import('express4')).Router);
});

for (const host of expressHosts('Express 4')) {
  serverContract({ ...host, inspect: ({ request }, response) => checkWire(request, response) });
}
