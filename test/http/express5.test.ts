import { serverContract } from '@tollgate/testing';
import { expressHosts } from './express-hosts.ts';
import { checkWire } from './wire-schemas.ts';

for (const host of expressHosts('Express 5')) {
  serverContract({ ...host, inspect: ({ request }, response) => checkWire(request, response) });
}
