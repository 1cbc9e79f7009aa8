import { readSandboxFile, writeSandboxFile } from './sandbox-file.ts';
import type { SandboxState } from './sandbox-state.ts';
import { withFileLock } from './with-file-lock.ts';

/** The sandbox's state, in memory or in a file that several processes on a machine share. */
export interface SharedState {
  readonly state: SandboxState;
  /** Runs a function on the current state, exclusively. */
  alone<T>(run: () => T): T;
  /** Saves the state. Must be called inside `alone`. */
  save(): void;
}

/**
 * Opens the state in the file, or creates a new one.
 *
 * @param file - null to keep it in memory only.
 * @throws TollgateError `invalid_configuration` for a file that no sandbox wrote.
 */
export function openSharedState(file: string | null, begin: () => SandboxState): SharedState {
  const state = begin();
  if (file === null) return { state, alone: (run) => run(), save: () => undefined };

  const alone = <T>(run: () => T) =>
    withFileLock(file, () => {
      const kept = readSandboxFile(file);
      if (kept !== null) refill(state, kept);
      return run();
    });
  const save = () => writeSandboxFile(file, state);
  // The first process writes its secret immediately, so that the next one signs and verifies with the same secret.
  alone(save);
  return { state, alone, save };
}

/** Fills the collections in place, since the ledger keeps references to them. */
function refill(state: SandboxState, kept: SandboxState): void {
  state.secret = kept.secret;
  state.port = kept.port;
  for (const name of ['customers', 'sessions', 'subscriptions', 'portals', 'events', 'keys'] as const) {
    const into: Map<string, unknown> = state[name];
    into.clear();
    for (const [id, value] of kept[name]) into.set(id, value);
  }
  state.undelivered.clear();
  for (const id of kept.undelivered) state.undelivered.add(id);
}
