/** What is left after so many is for the next hour. */
const MOST_STEPS = 10;

/**
 * Asks a repository to forget what is old, which it may do a part at a time, until none is left or it has taken long enough.
 *
 * @param isToEnd - asked after each step, whether the others are left for another time
 */
export async function purgeInSteps(purge: () => Promise<number>, isToEnd = () => false): Promise<void> {
  for (let step = 1; step <= MOST_STEPS; step += 1) {
    if (!((await purge()) > 0) || isToEnd()) return;
  }
}
