import { readSandboxFile, writeSandboxFile } from './sandbox-file.ts';
import type { SandboxState } from './sandbox-state.ts';
import { withFileLock } from './with-file-lock.ts';

/** The sandbox's state, in memory or in a file that several processes of a machine share. */
export interface SharedState {
  readonly state: SandboxState;
  /** Runs something on the state as it is now, alone. */
  alone<T>(run: () => T): T;
  /** Keeps the state; to be called inside `alone`. */
  save(): void;
}

/**
 * Opens the state in the file, or begins a new one.
 *
 * @param file - null for memory alone.
 * @throws TollgateError `invalid_configuration` for a file that is not a sandbox's.
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
  // The first process writes its secret at once, so that the next one signs and verifies with the same.
  alone(save);
  return { state, alone, save };
}

/** In place: the ledger holds on to the collections. */
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
