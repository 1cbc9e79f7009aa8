import { type SpawnOptions, spawn } from 'node:child_process';
import { closeSync, openSync, readFileSync } from 'node:fs';
import { tellReaper } from './reaper.ts';
import type { Owner } from './temporary-folder.ts';
import { waitUntil } from './wait-until.ts';

export interface ServiceProcess {
  readonly pid: number;
  /** Sends a signal. Resolves once the process has exited, or at once for SIGSTOP and SIGCONT. */
  kill(signal: NodeJS.Signals): Promise<void>;
  /** Asks the process to end, and kills it after five seconds. A repeat does nothing. */
  stop(): Promise<void>;
}

export interface ServiceOptions {
  readonly command: string;
  readonly args: readonly string[];
  readonly directory: string;
  readonly owner?: Owner | undefined;
  /** Receives the service's output, which is quoted if it does not start. */
  readonly logFile: string;
  readonly isReady: () => Promise<boolean>;
  /** @default SIGTERM */
  readonly stopSignal?: NodeJS.Signals;
}

/** A service exited before it was ready, usually because its port was taken in the meantime. */
export class ServiceStartError extends Error {
  override name = 'ServiceStartError';
}

/** Starts a service and resolves once it answers. It never outlives this process. */
export async function startProcess(options: ServiceOptions): Promise<ServiceProcess> {
  const { command, args, directory, owner, logFile, isReady, stopSignal = 'SIGTERM' } = options;
  const log = openSync(logFile, 'a');
  const spawnOptions: SpawnOptions = {
    cwd: directory,
    stdio: ['ignore', log, log],
    detached: true,
    env: { PATH: process.env.PATH, LC_ALL: 'C', HOME: directory },
    ...(owner && { uid: owner.uid, gid: owner.gid }),
  };
  const child = spawn(command, args, spawnOptions);
  closeSync(log);
  let ended: string | undefined;
  const gone = new Promise<void>((resolve) => {
    child.once('error', (error) => {
      ended = error.message;
      resolve();
    });
    child.once('exit', (code, signal) => {
      ended = `it ended with ${signal ?? code}`;
      if (child.pid !== undefined) tellReaper({ forget: child.pid });
      resolve();
    });
  });
  if (child.pid !== undefined) tellReaper({ watch: child.pid });
  child.unref();

  const kill = async (signal: NodeJS.Signals) => {
    if (ended !== undefined) return;
    child.kill(signal);
    if (signal !== 'SIGSTOP' && signal !== 'SIGCONT') await gone;
  };
  const stop = async () => {
    if (ended !== undefined) return;
    const insist = setTimeout(() => child.kill('SIGKILL'), 5_000);
    child.kill(stopSignal);
    child.kill('SIGCONT');
    await gone;
    clearTimeout(insist);
  };

  try {
    await waitUntil(`${command} answers`, async () => ended !== undefined || (await isReady()), {
      timeoutMs: 30_000,
    });
  } catch (error) {
    await stop();
    throw error;
  }
  if (ended !== undefined) {
    throw new ServiceStartError(
      `${command} did not start: ${ended}\n${readFileSync(logFile, 'utf8').slice(-2_000)}`,
    );
  }
  return { pid: child.pid as number, kill, stop };
}
