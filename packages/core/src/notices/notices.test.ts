import { describe, expect, it } from 'vitest';
import { createNotices } from './notices.ts';
import type { CapacityNotice } from './types.ts';

const quiet = { debug: () => undefined, info: () => undefined, warn: () => undefined };
const notice: CapacityNotice = { org: 'acme', stage: 'warned', overCapacityAt: 1, overages: [] };

function noticesWithLog() {
  const errors: unknown[] = [];
  const logger = { ...quiet, error: (_: string, facts?: unknown) => void errors.push(facts) };
  return { errors, notices: createNotices({ logger }) };
}

describe('notices', () => {
  it('reach every listener of their name and no other', () => {
    const { notices } = noticesWithLog();
    const heard: string[] = [];
    notices.on('capacity.warned', ({ org }) => void heard.push(`first ${org}`));
    notices.on('capacity.warned', ({ org }) => void heard.push(`second ${org}`));
    notices.on('capacity.cleared', () => void heard.push('cleared'));
    notices.tell('capacity.warned', notice);
    expect(heard).toEqual(['first acme', 'second acme']);
  });

  it('no longer reach a listener that was taken off, be it the same function twice', () => {
    const { notices } = noticesWithLog();
    const heard: string[] = [];
    const listener = ({ org }: CapacityNotice) => void heard.push(org);
    const off = notices.on('capacity.warned', listener);
    notices.on('capacity.warned', listener);
    off();
    off();
    notices.tell('capacity.warned', notice);
    expect(heard).toEqual(['acme']);
  });

  it.each([
    ['capacity.warn', () => undefined],
    ['toString', () => undefined],
    ['capacity.warned', undefined],
  ])('have no listener for %j that would never hear anything', (name, listener) => {
    const { notices } = noticesWithLog();
    expect(() => notices.on(name as 'capacity.warned', listener as () => void)).toThrow(
      expect.objectContaining({ code: 'invalid_configuration' }),
    );
  });

  it('reach the others when a listener throws or rejects, and say so in the log with the org and the cause, but no secret', async () => {
    const { errors, notices } = noticesWithLog();
    const heard: string[] = [];
    notices.on('capacity.warned', () => {
      throw new TypeError('no answer to sk_live_secret');
    });
    notices.on('capacity.warned', () => Promise.reject(new RangeError('too long')));
    notices.on('capacity.warned', ({ org }) => void heard.push(org));
    notices.tell('capacity.warned', notice);
    await Promise.resolve();
    await Promise.resolve();
    expect(heard).toEqual(['acme']);
    expect(errors).toEqual([
      {
        notice: 'capacity.warned',
        org: 'acme',
        error: { name: 'TypeError', message: 'no answer to sk_[redacted]' },
        stack: expect.stringContaining('notices.test.ts'),
      },
      {
        notice: 'capacity.warned',
        org: 'acme',
        error: { name: 'RangeError', message: 'too long' },
        stack: expect.stringContaining('notices.test.ts'),
      },
    ]);
  });
});
