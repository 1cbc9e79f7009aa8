import { once } from 'node:events';
import pg from 'pg';
import { postgresRepository } from './postgres-repository.ts';

// One of several processes that are given copies of one event. It waits for a start signal, so that all begin at once.
const [url = '', schema = '', copies = '0'] = process.argv.slice(2);
const pool = new pg.Pool({ connectionString: url, max: 10 });
const repository = postgresRepository({ pool, schema });
await Promise.all(Array.from({ length: 5 }, () => repository.loadOrg('acme')));
process.stdout.write('ready\n');
await once(process.stdin, 'data');

const at = Date.UTC(2026, 3, 9, 12);
const key = { provider: 'stripe', livemode: true, id: 'evt_1' };
const audit = {
  at,
  org: 'acme',
  actor: 'provider:stripe',
  action: 'subscription.changed',
  subject: 'sub_1',
} as const;
const rest = {
  tier: 'pro',
  status: 'active',
  quantity: 1,
  interval: null,
  createdAt: at,
  currentPeriodEndsAt: null,
  trialEndsAt: null,
  cancelsAt: null,
  scheduledTier: null,
  scheduledAt: null,
  pastDueAt: null,
  endedAt: null,
};

async function deliver(): Promise<string> {
  const event = { ...key, type: 't', customerId: 'cus_1', subscriptionId: 'sub_1', createdAt: at };
  const claim = await repository.claimEvent({ event, leaseMs: 10_000 });
  if (claim.outcome !== 'claimed') return claim.outcome;
  const stored = await repository.findSubscription({ provider: 'stripe', id: 'sub_1' });
  const finished = await repository.finishEvent({
    event: key,
    token: claim.token,
    result: 'applied',
    maxUnmatched: 10,
    effect: {
      subscription: { provider: 'stripe', id: 'sub_1', org: 'acme', customerId: 'cus_1', ...rest },
      expectedVersion: stored?.version ?? null,
      audit: { ...audit, before: stored, after: null },
    },
  });
  return finished === 'done' ? 'processed' : finished;
}

const outcomes = await Promise.all(Array.from({ length: Number(copies) }, deliver));
process.stdout.write(`${JSON.stringify(outcomes)}\n`);
await pool.end();
process.exit(0);
