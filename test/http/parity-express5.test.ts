import Koa from 'koa';
import { expressHosts } from './express-hosts.ts';
import { koaHosts } from './koa-hosts.ts';
import { parity } from './parity.ts';

parity([...expressHosts('Express 5'), ...koaHosts('Koa 3', () => new Koa())]);
