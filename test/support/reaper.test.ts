import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { connect } from 'node:net';
import { expect, test } from 'vitest';
import { waitUntil } from './services.ts';

const script = `
  const { startRedis } = await import(${JSON.stringify(new URL('redis.ts', import.meta.url).href)});
  const { port, dir } = await startRedis();
  console.log(JSON.stringify({ port, dir }));
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

test('a test process that is killed leaves neither its service nor its folder behind', async () => {
  const child = spawn(process.execPath, ['--import', 'tsx', '--input-type=module', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const { port, dir } = await new Promise<{ port: number; dir: string }>((resolve) => {
    child.stdout.once('data', (chunk) => resolve(JSON.parse(String(chunk))));
  });
  expect(await listens(port)).toBe(true);
  child.kill('SIGKILL');
  await waitUntil('the service is gone', async () => !(await listens(port)));
  await waitUntil('its folder is gone', () => !existsSync(dir));
});
