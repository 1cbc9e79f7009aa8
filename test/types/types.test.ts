import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { expect, it } from 'vitest';

const root = fileURLToPath(new URL('../..', import.meta.url));

// Each fixture marks the lines that must not compile; a line that does, or another that does not, is a complaint.
it.each([
  ['keys of an engine that is given, options, tiers', 'unregistered'],
  ['keys registered once for the whole app', 'registered'],
])(
  'types tell %s from misspelt ones, on Express and Koa',
  (_what, fixture) => {
    const { stdout, status } = spawnSync(
      `${root}node_modules/.bin/tsc`,
      ['-p', `${root}test/fixtures/types/${fixture}`, '--pretty', 'false'],
      { encoding: 'utf8' },
    );
    expect(stdout).toBe('');
    expect(status).toBe(0);
  },
  60_000,
);
