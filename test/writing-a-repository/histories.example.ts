// #region histories
import { memoryBillingRepository } from '@tollgate/core';
import { billingRepositoryHistories, fakeClock, playBillingRepositoryHistory } from '@tollgate/testing';
import fc from 'fast-check';
import { mapDatabase } from './map-database.ts';
import { myRepository } from './template/my-repository.ts';

export async function compareWithMemory(seed: number): Promise<void> {
  const property = fc.asyncProperty(billingRepositoryHistories(), async (history) => {
    const clock = fakeClock();
    const pair = {
      reference: memoryBillingRepository({ clock }),
      subject: myRepository(mapDatabase(clock)),
      now: () => clock.now(),
      advance: (ms: number) => clock.advance(ms),
    };
    await playBillingRepositoryHistory(pair, history);
  });
  await fc.assert(property, { seed, numRuns: 100 });
}
// #endregion
