import type { BillingRepository } from '@tollgate/core';
import fc from 'fast-check';
import { billingCommands } from './repository-model/billing-commands.ts';
import { type BillingRepositoryPair, Command, type Play } from './repository-model/command.ts';
import { lifecycleCommands } from './repository-model/lifecycle-commands.ts';

export type { BillingRepositoryPair } from './repository-model/command.ts';

/** Reads everything the port can read, so that a history ends in equal states and not just in equal answers. */
const everything = new Command('everything', async ({ repository, now }) => {
  const answers: unknown[] = [
    await repository.listCustomers({ after: null, limit: 1_000 }),
    await repository.listSubscriptions({ after: null, limit: 1_000 }),
    await repository.listOverrides({ liveAt: null }),
    await repository.listAudit({ org: null, before: null, limit: 1_000 }),
    await repository.claimSweeps({ org: null, dueAt: now, limit: 1_000, leaseMs: 1 }),
  ];
  for (const name of ['acme', 'globex', 'b}:']) {
    answers.push(await repository.loadOrg(name), await repository.loadDegradation(name));
    answers.push(await repository.loadRowActions(name));
    for (const id of ['stripe', 'sandbox']) {
      answers.push(await repository.listUnmatched({ provider: id, customerId: `cus_${name}` }));
    }
  }
  return answers;
});

/** A history of commands to play on two billing repositories. */
export type BillingRepositoryHistory = Iterable<fc.AsyncCommand<object, Play>>;

/** Generates histories of all commands of the port, on few names so that commands affect each other. @default length up to 80 */
export function billingRepositoryHistories(length = 80): fc.Arbitrary<BillingRepositoryHistory> {
  return fc.commands([...billingCommands, ...lifecycleCommands], { maxCommands: length, size: 'max' });
}

/**
 * Plays a history on both repositories of a fresh, empty pair.
 * @throws AssertionError at the first answer where the subject differs from the reference
 */
export async function playBillingRepositoryHistory(
  pair: BillingRepositoryPair,
  history: BillingRepositoryHistory,
): Promise<void> {
  const side = (repository: BillingRepository) => ({ repository, tokens: new Map(), fences: new Map() });
  const play: Play = { pair, reference: side(pair.reference), subject: side(pair.subject) };
  await fc.asyncModelRun(() => ({ model: {}, real: play }), history);
  await everything.run({}, play);
}
