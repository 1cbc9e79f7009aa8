import { describe, expect, it } from 'vitest';
import { frameworks } from './apps.ts';
import { DAY, HOUR, overCapacityScene } from './scene.ts';

const PATH = '/orgs/acme/billing/degradation';

describe.each(frameworks)('an org over capacity, over HTTP on %s', (framework) => {
  it('is warned, degraded and marked by the table of the contract, and restored by an upgrade', async () => {
    const { get, at, billing, suspended, setLimit, startedAt } = await overCapacityScene(framework);
    const since = new Date(startedAt).toISOString();
    const flagged = (state: string, markedAt?: number) =>
      ['d5', 'd4'].map((id) => ({
        resource: 'devices',
        id,
        state,
        flagged_at: since,
        ...(markedAt === undefined ? {} : { marked_at: new Date(markedAt).toISOString() }),
      }));
    const status = (stage: string, level: number, rows: object[]) => ({
      org_id: 'acme',
      stage,
      degradation_level: level,
      over_capacity: true,
      selection_policy: 'newest_first',
      overages: [{ key: 'devices', unit: 'count', current: 5, limit: 3, excess: 2 }],
      flagged: rows,
      over_capacity_since: since,
    });
    const seen = async () => withoutNulls((await get(PATH)).body);

    expect(await seen()).toEqual(status('warned', 0, flagged('flagged')));
    expect(withoutNulls((await get('/orgs/acme/billing/usage')).body)).toMatchObject({
      degradation: status('warned', 0, flagged('flagged')),
    });
    at(14 * DAY);
    expect(await seen()).toEqual(status('degraded', 0, flagged('degraded')));
    await billing.sweep();
    at(14 * DAY + HOUR);
    await billing.sweep();
    expect([...suspended].sort()).toEqual(['d4', 'd5']);
    at(24.5 * DAY);
    expect(await seen()).toEqual(status('degraded', 0.75, flagged('degraded')));
    at(28 * DAY);
    expect(await seen()).toEqual(
      status('marked_for_delete', 1, flagged('marked_for_delete', startedAt + 28 * DAY)),
    );

    await setLimit(5);
    expect(await seen()).toEqual({
      org_id: 'acme',
      stage: 'none',
      degradation_level: 0,
      over_capacity: false,
      selection_policy: 'newest_first',
      overages: [],
      flagged: [],
    });
    expect((await get('/orgs/acme/billing/usage')).body.degradation).toBeNull();
    await expect.poll(() => suspended.size).toBe(0);
  });

  it('lets its admins choose what stays, at once, and refuses what the contract refuses', async () => {
    const { get, send } = await overCapacityScene(framework);
    const ids = ({ body }: { body: Record<string, unknown> }) =>
      (body.flagged as { id: string }[]).map(({ id }) => id);
    const keep = (id: string, keeps = true, resource = 'devices') =>
      send('POST', `${PATH}/resource`, { resource, resource_id: id, keep: keeps });
    expect(ids(await get(PATH))).toEqual(['d5', 'd4']);
    expect(ids(await keep('d5'))).toEqual(['d4', 'd3']);
    expect(ids(await send('PUT', `${PATH}/policy`, { policy: 'oldest_first' }))).toEqual(['d1', 'd2']);
    expect(ids(await keep('d1'))).toEqual(['d2', 'd3']);
    expect(ids(await keep('d2'))).toEqual(['d3', 'd4']);
    const refusals = [
      await keep('d3'),
      await keep('d9'),
      await keep('x', true, 'door_opens'),
      await send('PUT', `${PATH}/policy`, { policy: 'at_random' }),
      await send('PUT', `${PATH}/policy`, { policy: 'manual' }, 'member'),
    ];
    expect(refusals.map(({ status, body }) => [status, body.error_code])).toEqual([
      [409, 'keep_limit_reached'],
      [404, 'resource_not_found'],
      [400, 'invalid_request'],
      [400, 'invalid_request'],
      [403, 'forbidden'],
    ]);
    expect(ids(await send('PUT', `${PATH}/policy`, { policy: 'manual' }))).toEqual([]);
    expect(ids(await keep('d5', false))).toEqual([]);
  });
});

function withoutNulls(value: unknown): unknown {
  return JSON.parse(JSON.stringify(value, (_, part) => part ?? undefined));
}
