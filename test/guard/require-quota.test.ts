import { type CounterStore, memoryCounterStore, type Telemetry, TollgateError } from '@tollgate/core';
import { describe, expect, it } from 'vitest';
import { gate, guardScene } from './guard-scene.ts';
import { frameworks } from './guarded-app.ts';

const header = (name: string) => (request: { get(name: string): string | undefined }) => request.get(name);
const created = ({ answer }: { answer(status: number): void }) => answer(201);

async function codeOf(answer: Response): Promise<readonly [number, string]> {
  const body = (await answer.json()) as { error_code: string; correlationId: string };
  expect(body.correlationId).toBe(answer.headers.get('x-request-id'));
  return [answer.status, body.error_code];
}

/** A store that cannot be asked. */
function brokenStore(): CounterStore {
  const fail = () => Promise.reject(new TollgateError('quota_unavailable', { retryAfterSeconds: 2 }));
  return {
    reserve: fail,
    settle: fail,
    renew: fail,
    adjust: fail,
    read: fail,
    beginRecount: fail,
    finishRecount: fail,
    transactions: null,
    close: async () => undefined,
  };
}

describe.each(frameworks)('requireQuota on %s', (framework) => {
  it('admits exactly 100 of 4 times 200 parallel creates at limit 100 (Q1)', async () => {
    const scene = guardScene({ devices: 100 });
    const { post } = await scene.serve(framework, {
      guards: [['devices']],
      handler: async ({ answer }) => {
        await new Promise((resolve) => setImmediate(resolve));
        scene.add('devices');
        answer(201);
      },
    });
    const statuses: number[] = [];
    for (let round = 0; round < 4; round += 1) {
      const answers = await Promise.all(Array.from({ length: 200 }, () => post()));
      statuses.push(...answers.map((answer) => answer.status));
    }
    expect(statuses.filter((status) => status === 201)).toHaveLength(100);
    expect(statuses.filter((status) => status === 429)).toHaveLength(700);
    expect(scene.rows.get('devices')).toBe(100);
    await scene.settles('devices', { committed: 100, held: 0, uncertain: 0 });
  });

  it('several guards on one route: what the first took comes back when the second refuses', async () => {
    const scene = guardScene({ devices: 5, zones: 1 });
    const { post } = await scene.serve(framework, { guards: [['devices'], ['zones']], handler: created });
    expect((await post()).status).toBe(201);
    const refused = await post();
    expect(await codeOf(refused)).toEqual([429, 'quota_exceeded']);
    await scene.settles('devices', { committed: 1, held: 0, uncertain: 0 });
    await scene.settles('zones', { committed: 1, held: 0, uncertain: 0 });
  });

  it('a list of keys is taken whole or not at all, and the refusal names what was full (Q2, T26)', async () => {
    const scene = guardScene({ devices: 5, zones: 1 });
    const { post } = await scene.serve(framework, {
      guards: [['devices', {}], [['devices', { key: 'zones', amount: 1 }]]].slice(1) as never,
      handler: created,
    });
    const admitted = await post();
    expect(admitted.headers.get('ratelimit')).toBe('"devices";r=4, "zones";r=0');
    const refused = await post();
    expect(await codeOf(refused.clone())).toEqual([429, 'quota_exceeded']);
    expect(((await refused.json()) as { message: string }).message).toContain('zones');
    expect(refused.headers.get('ratelimit')).toBe('"devices";r=4, "zones";r=0');
    await scene.settles('devices', { committed: 1, held: 0, uncertain: 0 });
  });

  it('takes its key, amount, org and session from the request', async () => {
    const scene = guardScene({ devices: 5, call_seconds: 60 });
    const { post } = await scene.serve(framework, {
      guards: [
        [
          {
            key: header('x-key'),
            org: header('x-tenant'),
            amount: (request: { get(name: string): string }) => Number(request.get('x-amount')),
            scope: header('x-session'),
          },
        ],
      ],
      handler: created,
    });
    const asked = { 'x-key': 'devices', 'x-tenant': 'acme', 'x-amount': '4' };
    expect((await post(asked)).headers.get('ratelimit')).toBe('"devices";r=1');
    expect((await post(asked)).status).toBe(429);
    expect((await post({ ...asked, 'x-tenant': 'globex' })).status).toBe(201);
    const call = { 'x-key': 'call_seconds', 'x-tenant': 'acme', 'x-amount': '40', 'x-session': 'one' };
    expect((await post(call)).status).toBe(201);
    expect((await post(call)).status).toBe(429);
    expect((await post({ ...call, 'x-session': 'two' })).status).toBe(201);
  });

  it.each(['0', '-1', '1.5', '1e20', 'NaN'])(
    'refuses the amount %s and takes nothing (T23)',
    async (amount) => {
      const scene = guardScene({ devices: 5 });
      const { post } = await scene.serve(framework, {
        guards: [
          [
            'devices',
            { amount: (request: { get(name: string): string }) => Number(request.get('x-amount')) },
          ],
        ],
        handler: created,
      });
      expect(await codeOf(await post({ 'x-amount': amount }))).toEqual([400, 'invalid_amount']);
      expect((await post({ 'x-amount': '5' })).status).toBe(201);
    },
  );

  it('an idempotency key takes once, lets a repeat through, and refuses a twin that still runs (Q3)', async () => {
    const scene = guardScene({ devices: 2 });
    const first = gate();
    const { post } = await scene.serve(framework, {
      guards: [['devices', { idempotencyKey: header('idempotency-key') }]],
      handler: async ({ answer }) => {
        await first.opened;
        answer(201);
      },
    });
    const once = { 'idempotency-key': 'create-1' };
    const running = post(once);
    await scene.settles('devices', { held: 1 });
    expect(await codeOf(await post(once))).toEqual([409, 'request_in_progress']);
    first.open();
    expect((await running).status).toBe(201);
    await scene.settles('devices', { committed: 1, held: 0 });
    expect((await post(once)).status).toBe(201);
    await scene.settles('devices', { committed: 1, held: 0 });
    expect((await post()).status, 'without a key each is its own').toBe(201);
    await scene.settles('devices', { committed: 2, held: 0 });
    expect((await post({ 'idempotency-key': 'create-2' })).status).toBe(429);
    expect((await post(once)).status, 'a repeat passes at the limit too').toBe(201);
  });

  it('releaseQuota gives back on a 2xx only, and once for one idempotency key', async () => {
    const scene = guardScene({ devices: 2 });
    const { post, remove } = await scene.serve(framework, {
      guards: [['devices']],
      handler: ({ answer }) => {
        scene.add('devices');
        answer(201);
      },
      onDelete: {
        key: 'devices',
        handler: ({ id, answer }) => {
          if (id !== 'missing') scene.add('devices', -1);
          answer(id === 'missing' ? 404 : 204);
        },
      },
    });
    await post();
    await post();
    await scene.settles('devices', { committed: 2, held: 0 });
    expect((await post()).status).toBe(429);
    expect((await remove('missing')).status).toBe(404);
    expect((await post()).status).toBe(429);
    expect((await remove('one')).status).toBe(204);
    await scene.settles('devices', { committed: 1 });
    expect((await post()).status).toBe(201);
  });

  it('forgets no delete for long: a count that is too high is found out before it refuses', async () => {
    const scene = guardScene({ devices: 1 });
    const { post } = await scene.serve(framework, {
      guards: [['devices']],
      handler: ({ answer }) => {
        scene.add('devices');
        answer(201);
      },
    });
    expect((await post()).status).toBe(201);
    await scene.settles('devices', { committed: 1, held: 0 });
    scene.add('devices', -1); // Deleted behind the gate's back.
    expect((await post()).status, 'refused on a count of this moment').toBe(429);
    scene.clock.advance(10_001);
    expect((await post()).status, 'refused only on a count no older than ten seconds').toBe(201);
    expect(scene.rows.get('devices')).toBe(1);
  });

  it.each(['before', 'after'] as const)("works %s the host's own JSON parser", async (parser) => {
    const scene = guardScene({ devices: 2 });
    const bodies: unknown[] = [];
    const { url } = await scene.serve(framework, {
      guards: [['devices']],
      parser,
      handler: ({ body, answer }) => {
        bodies.push(body);
        answer(201);
      },
    });
    const send = () =>
      fetch(`${url}/api/things`, {
        method: 'POST',
        body: '{"name":"Lamp"}',
        headers: { 'Content-Type': 'application/json' },
      });
    expect([(await send()).status, (await send()).status, (await send()).status]).toEqual([201, 201, 429]);
    expect(bodies).toEqual([{ name: 'Lamp' }, { name: 'Lamp' }]);
  });

  it('answers with the status the guard asks for, by option of the guard before that of the engine', async () => {
    const scene = guardScene({ devices: 0, zones: 0 }, { deniedStatus: 402 });
    const of = async (options: object) => {
      const { post } = await scene.serve(framework, { guards: [['devices', options]], handler: created });
      return await codeOf(await post());
    };
    expect(await of({})).toEqual([402, 'quota_exceeded']);
    expect(await of({ deniedStatus: 403 })).toEqual([403, 'quota_exceeded']);
  });

  it('a guard that finds no engine, or one that is passed to it', async () => {
    const scene = guardScene({ devices: 1 });
    let ran = 0;
    const count = ({ answer }: { answer(status: number): void }) => {
      ran += 1;
      answer(200);
    };
    const lost = await scene.serve(framework, {
      billing: null,
      guards: [['devices']],
      handler: count,
      onDelete: { key: 'devices', handler: count },
    });
    expect((await lost.post()).status, "the host's own error handler answers").toBe(500);
    expect((await lost.remove('one')).status).toBe(500);
    expect(ran, 'nothing is created or deleted uncounted').toBe(0);
    const given = await scene.serve(framework, {
      billing: null,
      guards: [['devices', { billing: scene.billing }]],
      handler: created,
    });
    expect((await given.post()).status).toBe(201);
    const refused = await given.post();
    expect(refused.headers.get('link')).toBe('</orgs/acme/billing/upgrade-options>; rel="upgrade"');
    expect(await codeOf(refused)).toEqual([429, 'quota_exceeded']);
  });

  it('a refusal links to one path, whatever characters the org ids of the host have', async () => {
    const scene = guardScene({ devices: 0 }, { orgIdPattern: /\S+/ });
    const { post } = await scene.serve(framework, { guards: [['devices']], handler: created });
    const refused = await post({ 'x-org': 'a/b?c#d%2F' });
    expect(refused.headers.get('link')).toBe(
      '</api/orgs/a%2Fb%3Fc%23d%252F/billing/upgrade-options>; rel="upgrade"',
    );
  });

  it('charges nobody who is not known, and no org that is none (T15)', async () => {
    const scene = guardScene({ devices: 1 }, { org: (request) => request.header('x-org') });
    const { post } = await scene.serve(framework, { guards: [['devices']], handler: created });
    expect(await codeOf(await post())).toEqual([401, 'unauthorized']);
    for (const odd of ['a/b', '..', 'a}b', 'x'.repeat(65)]) {
      expect([odd, ...(await codeOf(await post({ 'x-org': odd })))]).toEqual([odd, 400, 'invalid_org_id']);
    }
  });

  it('an unknown key is a fault of the app, said in its own code', async () => {
    const scene = guardScene({ devices: 1 });
    const { post } = await scene.serve(framework, { guards: [['devcies']], handler: created });
    expect(await codeOf(await post())).toEqual([500, 'invalid_configuration']);
  });

  it('a store that cannot be asked: 503 and never 429 when closed, through and counted later when open (Q13)', async () => {
    const events: string[] = [];
    const scene = guardScene(
      { devices: 1 },
      {
        counters: brokenStore(),
        telemetry: { count: (name) => void events.push(name) } as Telemetry,
      },
    );
    const policy = header('x-policy');
    const { post } = await scene.serve(framework, {
      guards: [['devices', { onStoreError: policy }]],
      handler: ({ answer }) => {
        scene.add('devices');
        answer(201);
      },
    });
    const closed = await post({ 'x-policy': 'closed' });
    expect(Number(closed.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await codeOf(closed)).toEqual([503, 'quota_unavailable']);
    expect((await post({ 'x-policy': 'recount' })).status, 'decided on the rows themselves').toBe(201);
    expect((await post({ 'x-policy': 'recount' })).status).toBe(429);
    expect((await post({ 'x-policy': 'open' })).status).toBe(201);
    expect(scene.rows.get('devices')).toBe(2);
    expect(events).toContain('tollgate.admitted_open');
  });

  it('a guard that cannot decide gives back what the guards before it took, also what a failure would charge', async () => {
    const scene = guardScene({ devices: 5, door_opens: 5 });
    const { post } = await scene.serve(framework, {
      guards: [
        ['devices'],
        ['door_opens', { onFailure: 'charge' }],
        ['devices', { amount: () => Promise.reject(new TollgateError('quota_unavailable')) }],
      ],
      handler: created,
    });
    expect((await post()).status).toBe(503);
    await scene.settles('devices', { committed: 0, held: 0, uncertain: 0 });
    const all = await scene.billing.reserve({ org: 'acme', charges: [{ key: 'door_opens', amount: 5 }] });
    expect(all.admitted).toBe(true);
  });

  it('keeps its own counts to itself: two engines, two memories', async () => {
    const shared = memoryCounterStore();
    const one = guardScene({ devices: 1 }, { counters: shared });
    const other = guardScene({ devices: 1 });
    const here = await one.serve(framework, { guards: [['devices']], handler: created });
    const there = await other.serve(framework, { guards: [['devices']], handler: created });
    expect((await here.post()).status).toBe(201);
    expect((await there.post()).status).toBe(201);
    expect((await here.post()).status).toBe(429);
  });
});
