import { serverContract } from '@tollgate/testing';
import Koa from 'koa';
import Koa2 from 'koa2';
import { koaHosts } from './koa-hosts.ts';
import { checkWire } from './wire-schemas.ts';

const hosts = [
  ...koaHosts('Koa 3', () => new Koa()),
  ...koaHosts('Koa 2', () => new Koa2() as unknown as Koa),
];

for (const host of hosts) {
  serverContract({ ...host, inspect: ({ request }, response) => checkWire(request, response) });
}
