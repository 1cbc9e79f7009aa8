import type { Migration } from './migration.ts';

/**
 * Counters and reservations, for hosts that count in Postgres (strict mode). Times are whole epoch ms: they are only ever compared with
 * each other, also inside a host's transaction with a time zone and DateStyle of its own.
 */
export const counters: Migration = {
  number: 2,
  name: 'counters',
  up: (s) => [
    `create table ${s}.counter_orgs (
      org         text collate "C" primary key,
      -- Grows with every write to anything of the org: a transaction on an older snapshot fails instead of reading the past.
      version     bigint not null,
      -- The last serial given to a counter; starts at the clock, so that a row made anew never repeats one.
      serial      bigint not null,
      tidied_at   bigint not null
    )`,
    `create index counter_orgs_by_tidied on ${s}.counter_orgs (tidied_at)`,
    `create table ${s}.counters (
      org           text collate "C" not null,
      key           text collate "C" not null,
      window_label  text collate "C" not null,
      -- False while a first recount is under way.
      known         boolean not null,
      serial        bigint not null,
      committed     bigint not null check (committed >= 0),
      uncertain     bigint not null check (uncertain >= 0),
      -- Units that came and went since the last recount.
      added         numeric not null,
      removed       numeric not null,
      counted_at    bigint not null,
      forget_at     bigint,
      mark_ends_at  bigint not null,
      primary key (org, key, window_label)
    )`,
    `create table ${s}.reservations (
      org            text collate "C" not null,
      id             text collate "C" not null,
      -- Held, or out of time and kept for a late commit.
      lapsed         boolean not null,
      fingerprint    text not null,
      remember_ms    bigint not null,
      lease_ends_at  bigint not null,
      charges        jsonb not null,
      primary key (org, id)
    )`,
    `create table ${s}.settled_reservations (
      org          text collate "C" not null,
      id           text collate "C" not null,
      fingerprint  text not null,
      state        text not null,
      ends_at      bigint not null,
      primary key (org, id)
    )`,
    `create table ${s}.adjustments (
      org      text collate "C" not null,
      id       text collate "C" not null,
      ends_at  bigint not null,
      primary key (org, id)
    )`,
  ],
};
