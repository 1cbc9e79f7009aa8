import Koa from 'koa';
import Koa2 from 'koa2';
import { vi } from 'vitest';
import { expressHosts } from './express-hosts.ts';
import { koaHosts } from './koa-hosts.ts';
import { parity } from './parity.ts';

// The adapter takes its router from the host's own Express: here that is version 4.
vi.mock('express', () => import('express4'));

// Koa 3 stands in both parity tests, so that all four are compared with each other.
parity([
  ...expressHosts('Express 4'),
  ...koaHosts('Koa 2', () => new Koa2() as unknown as Koa),
  ...koaHosts('Koa 3', () => new Koa()).slice(0, 1),
]);
