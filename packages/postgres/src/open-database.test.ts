import { Client, Pool } from 'pg';
import { expect, it } from 'vitest';
import { postgresCounterStore } from './postgres-counter-store.ts';
import { postgresRepository } from './postgres-repository.ts';

const pool = new Pool();

it.each([
  ['a pool that is not there yet', { pool: undefined }, /`pool`/],
  ['a single client', { pool: new Client() }, /Pool/],
  ['no options', undefined, /`pool`/],
  ['a pool in the place of the options', pool, /`pool`/],
  ['an address in the place of a pool', { pool: 'postgres://app:hunter2@db/app' }, /new Pool/],
  ['options of a pool in its place', { pool: { connectionString: 'postgres://db/app' } }, /new Pool/],
  ['a PGlite that was not waited for', { pglite: Promise.resolve({ transaction: () => {} }) }, /await/],
  ['a folder in the place of a PGlite', { pglite: './data' }, /PGlite/],
  ['a misspelt option', { pool, shema: 'mine' }, /shema: is not an option/],
  ['a time-out that is none', { pool, timeoutMs: '1s' }, /timeoutMs must be a whole number/],
])('nothing is opened on %s', (_what, options, fault) => {
  for (const open of [postgresRepository, postgresCounterStore])
    expect(() => open(options as never)).toThrow(
      expect.objectContaining({ code: 'invalid_configuration', message: expect.stringMatching(fault) }),
    );
});

it('does not repeat an address with its password', () => {
  const open = () => postgresRepository({ pool: 'postgres://app:hunter2@db/app' } as never);
  expect(open).toThrow(expect.objectContaining({ message: expect.not.stringContaining('hunter2') }));
});
