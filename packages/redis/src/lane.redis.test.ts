import { expect, inject, it, onTestFinished } from 'vitest';
import { waitUntil } from '../../../test/support/services.ts';
import { openConnection } from './connection.ts';
import { DEVICES } from './faults.test-support.ts';
import { spellKeys } from './keys.ts';
import { createLane } from './lane.ts';
import { readOperation } from './operations.ts';
import { createOrgStates } from './org-states.ts';

const ignore = () => {};
const silent = { debug: ignore, info: ignore, warn: ignore, error: ignore };

it.each(['answered', 'given up'])(
  'an org of which all is %s has nothing under way: it may be forgotten (T17)',
  async (how) => {
    const connection = openConnection({ url: inject('redisUrl') }, silent);
    onTestFinished(() => connection.close());
    const broken = async () => Promise.reject(new Error('ERR Error running script: a fault of ours'));
    const { tags, org } = spellKeys({ prefix: `lane${process.pid}`, hashTags: 1 });
    const lane = createLane({
      connection: how === 'answered' ? connection : { ...connection, run: broken },
      tag: tags[0] as (typeof tags)[0],
      isOneOfMany: false,
      timeoutMs: 2_000,
      gatherMs: 0,
      lapsedKeepMs: 600_000,
      recordMs: 120_000,
      clock: undefined,
      onLost: ignore,
      reassert: ignore,
      onAway: ignore,
      onBack: ignore,
      onDrop: ignore,
      onGivenUp: ignore,
    });
    const acme = createOrgStates(org).of('acme');
    const reading = readOperation(acme, [DEVICES]);
    const answer = reading.promise().catch((error: { code: string }) => error.code);
    lane.add(reading);
    expect(acme.underWay).toBe(1);
    expect(await answer).toEqual(how === 'answered' ? [null] : 'quota_unavailable');
    await waitUntil('nothing is under way', () => acme.underWay === 0, { timeoutMs: 2_000 });
    await lane.drain();
  },
);
