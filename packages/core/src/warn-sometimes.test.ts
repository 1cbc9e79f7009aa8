import { expect, it, onTestFinished, vi } from 'vitest';
import { warnSometimes } from './warn-sometimes.ts';

/** Failures of orgs, one after another, and what the log says of them. */
function failing() {
  const now = vi.spyOn(performance, 'now').mockReturnValue(1_000);
  onTestFinished(() => now.mockRestore());
  const lines: unknown[] = [];
  const logger = {
    debug() {},
    info() {},
    warn: (_: string, facts?: object) => void lines.push(facts),
    error() {},
  };
  return {
    lines,
    fail: (...orgs: readonly string[]) => {
      for (const org of orgs) warnSometimes(logger, 'It failed.', { org });
    },
    wait: (ms: number) => now.mockReturnValue(performance.now() + ms),
  };
}

it('names the orgs that fail each time behind another one, which is always the first', () => {
  const { lines, fail, wait } = failing();
  fail('a', 'b', 'b', 'c');
  wait(9_999);
  fail('a');
  wait(1);
  fail('a', 'b', 'c');
  wait(10_000);
  fail('d');
  expect(lines).toEqual([
    { org: 'a', failures: 1 },
    { org: 'a', failures: 5, otherOrgs: ['b', 'c'] },
    { org: 'd', failures: 3, otherOrgs: ['b', 'c'] },
  ]);
});

it('names a few of any number of orgs', () => {
  const { lines, fail, wait } = failing();
  fail('first', ...Array.from({ length: 1_000 }, (_, n) => `org${n}`));
  wait(10_000);
  fail('org0');
  expect(lines[1]).toEqual({
    org: 'org0',
    failures: 1_001,
    otherOrgs: Array.from({ length: 9 }, (_, n) => `org${n + 1}`),
  });
});
