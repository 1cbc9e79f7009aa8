import { spawnSync } from 'node:child_process';
import { copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { expect, onTestFinished, test } from 'vitest';
import { removeFolder, temporaryFolder } from './temporary-folder.ts';

/** Runs `.ci/run` in a folder of its own, with a stand-in for npm; returns its exit code and its last line. */
function runCi(npm: string): { status: number | null; verdict: string | undefined } {
  const folder = temporaryFolder('ci');
  onTestFinished(() => removeFolder(folder));
  for (const name of ['.ci', 'bin', 'test/browser']) mkdirSync(join(folder, name), { recursive: true });
  copyFileSync(fileURLToPath(new URL('../../.ci/run', import.meta.url)), join(folder, '.ci/run'));
  writeFileSync(join(folder, 'bin/npm'), `#!/usr/bin/env bash\n${npm}\n`, { mode: 0o755 });
  const { status, stdout } = spawnSync('bash', ['.ci/run'], {
    cwd: folder,
    encoding: 'utf8',
    env: { ...process.env, PATH: [join(folder, 'bin'), process.env.PATH].join(delimiter) },
  });
  return { status, verdict: stdout.trim().split('\n').at(-1) };
}

const passed = `echo '{"numPassedTests":3,"numFailedTests":0}' > "$TOLLGATE_TEST_REPORT"`;

test('a check counts steps and tests, and passes when all of them do', () => {
  const npm = `if [[ "$*" == *test* ]]; then ${passed}; fi`;
  expect(runCi(npm)).toEqual({ status: 0, verdict: '10 passed, 0 failed' });
});

test.each([
  ['left half a report', `printf '{"numPassed' > "$TOLLGATE_TEST_REPORT"; exit 137`],
  ['left no report', 'exit 137'],
  ['reports no failed test', `${passed}; exit 1`],
])('a check fails for a test run that ended badly and %s', (_, dying) => {
  const { status, verdict } = runCi(`case "$*" in test) ${dying};; *browser*) ${passed};; esac`);
  expect(status).toBe(1);
  expect(verdict).toMatch(/^\d+ passed, 1 failed$/);
});
