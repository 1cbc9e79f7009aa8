import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { waitUntil } from './services.ts';

const serviceScript = `
  const { startRedis } = await import(${JSON.stringify(new URL('redis.ts', import.meta.url).href)});
  const { port, dir } = await startRedis();
  console.log(JSON.stringify({ port, dir }));
  setInterval(() => {}, 1000);
`;

const exampleScript = `
  const { startExample } = await import(${JSON.stringify(new URL('../examples/start-example.ts', import.meta.url).href)});
  const { origin } = await startExample('express');
  console.log(JSON.stringify({ port: Number(new URL(origin).port) }));
  setInterval(() => {}, 1000);
`;

async function listens(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => resolve(true)).on('error', () =>
      resolve(false),
    );
    socket.unref();
  });
}

/** Runs a script until it has printed what it started, then kills the script. */
async function killAfterStart<T extends { readonly port: number }>(script: string): Promise<T> {
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const started = await new Promise<T>((resolve) => {
    child.stdout.once('data', (chunk) => resolve(JSON.parse(String(chunk))));
  });
  expect(await listens(started.port)).toBe(true);
  child.kill('SIGKILL');
  return started;
}

test('a test process that is killed leaves neither its service nor its folder behind', async () => {
  const { port, dir } = await killAfterStart<{ port: number; dir: string }>(serviceScript);
  await waitUntil('the service is gone', async () => !(await listens(port)));
  await waitUntil('its folder is gone', () => !existsSync(dir));
});

test('a test process that is killed takes the example it started along', async () => {
  const { port } = await killAfterStart(exampleScript);
  await waitUntil('the example is gone', async () => !(await listens(port)));
});
