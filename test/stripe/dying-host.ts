// A process that takes webhooks and kills itself, as if by SIGKILL from outside, right after a step of its work.
import { postgresRepository } from '@tollgate/postgres';
import type { StripeStandIn } from '@tollgate/testing';
import { Pool } from 'pg';
import { watched } from './step-wrappers.ts';
import { stripeHost } from './stripe-hosts.ts';

interface Order {
  readonly connectionString: string;
  readonly schema: string;
  readonly standIn: Pick<StripeStandIn, 'origin' | 'secretKey' | 'webhookSecrets'>;
  readonly prices: Readonly<Record<string, string>>;
  readonly dieAfter: number;
}

const order: Order = JSON.parse(process.env.DYING_HOST_ORDER ?? '{}');
const { connectionString, schema, standIn, prices, dieAfter } = order;
let steps = 0;
const after = () => {
  steps += 1;
  if (steps === dieAfter) process.kill(process.pid, 'SIGKILL');
};
const pool = new Pool({ connectionString, max: 2 });
const host = await stripeHost({
  standIn: standIn as StripeStandIn,
  prices,
  repository: watched(postgresRepository({ pool, schema }), { after }),
  wrapProvider: (provider) => watched(provider, { after }),
});
process.stdout.write(`${host.webhookUrl}\n`);
