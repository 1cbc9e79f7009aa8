import { readFileSync, renameSync, writeFileSync } from 'node:fs';
import { TollgateError } from '../errors/tollgate-error.ts';
import { hasCode } from './has-code.ts';
import type { SandboxState } from './sandbox-state.ts';

const FORMAT = 1;

/**
 * The state stored in a file; null if there is no file yet.
 *
 * @throws TollgateError `invalid_configuration` for a file that no sandbox wrote.
 */
export function readSandboxFile(file: string): SandboxState | null {
  let text: string;
  try {
    text = readFileSync(file, 'utf8');
  } catch (error) {
    if (hasCode(error, 'ENOENT')) return null;
    throw unusable(file, error);
  }
  try {
    const kept = JSON.parse(text);
    if (kept.format !== FORMAT || typeof kept.secret !== 'string') throw new TypeError('not a sandbox file');
    return {
      secret: kept.secret,
      port: kept.port,
      customers: new Map(kept.customers),
      sessions: new Map(kept.sessions),
      subscriptions: new Map(kept.subscriptions),
      portals: new Map(kept.portals),
      events: new Map(kept.events),
      undelivered: new Set(kept.undelivered),
      keys: new Map(kept.keys),
    };
  } catch (error) {
    throw unusable(file, error);
  }
}

/** Replaces the file atomically. Only its owner may read it, since it holds the webhook secret. */
export function writeSandboxFile(file: string, state: SandboxState): void {
  const text = JSON.stringify({
    format: FORMAT,
    secret: state.secret,
    port: state.port,
    customers: [...state.customers],
    sessions: [...state.sessions],
    subscriptions: [...state.subscriptions],
    portals: [...state.portals],
    events: [...state.events],
    undelivered: [...state.undelivered],
    keys: [...state.keys],
  });
  const next = `${file}.${process.pid}.new`;
  writeFileSync(next, text, { mode: 0o600 });
  renameSync(next, file);
}

function unusable(file: string, cause: unknown): TollgateError {
  return new TollgateError('invalid_configuration', {
    message: `The sandbox cannot use its file ${file}. Delete it to begin anew, or name another one.`,
    cause,
  });
}
