/** More than any hour leaves behind; who never answers that none is left is not asked for ever. */
const MOST_STEPS = 1_000;

/** Asks a repository to forget what is old, which it may do a part at a time, until none is left. */
export async function purgeInSteps(purge: () => Promise<number>): Promise<void> {
  for (let step = 1; step <= MOST_STEPS; step += 1) {
    if (!((await purge()) > 0)) return;
  }
}
