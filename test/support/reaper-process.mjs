// Ends the services of a test process that died without stopping them. It detects the death by the end of its
// standard input, which the system closes however the process ended.
import { rmSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { setTimeout as sleep } from 'node:timers/promises';

const pids = new Set();
const directories = new Set();

for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP']) process.on(signal, () => {});

function signal(pid, name) {
  try {
    process.kill(pid, name);
    return true;
  } catch {
    return false;
  }
}

for await (const line of createInterface({ input: process.stdin })) {
  const { watch, forget, directory, forgetDirectory } = JSON.parse(line);
  if (watch !== undefined) pids.add(watch);
  if (forget !== undefined) pids.delete(forget);
  if (directory !== undefined) directories.add(directory);
  if (forgetDirectory !== undefined) directories.delete(forgetDirectory);
}

// On SIGQUIT, PostgreSQL also ends its child processes; a stopped process reacts only to SIGKILL.
for (const pid of pids) signal(pid, 'SIGQUIT');
for (let round = 0; round < 40 && [...pids].some((pid) => signal(pid, 0)); round += 1) await sleep(50);
for (const pid of pids) signal(pid, 'SIGKILL');
await sleep(100);
for (const directory of directories) rmSync(directory, { recursive: true, force: true, maxRetries: 5 });
