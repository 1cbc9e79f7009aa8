import type { Migration } from './migration.ts';

/**
 * Customers, subscriptions, checkouts, the webhook inbox, overrides, the over-capacity lifecycle, usage and audit.
 *
 * Text that is looked up or sorted is `collate "C"`: its order is the same on every server and survives a change of locale.
 */
export const billingState: Migration = {
  number: 1,
  name: 'billing state',
  up: (s) => [
    `create table ${s}.customers (
      org          text collate "C" not null,
      provider     text collate "C" not null,
      customer_id  text collate "C" not null,
      primary key (org, provider)
    )`,
    `create index customers_by_id on ${s}.customers (provider, customer_id)`,

    `create table ${s}.subscriptions (
      provider                text collate "C" not null,
      id                      text collate "C" not null,
      org                     text collate "C" not null,
      customer_id             text not null,
      tier                    text,
      status                  text not null,
      quantity                bigint not null,
      billing_interval        text,
      created_at              timestamptz not null,
      current_period_ends_at  timestamptz,
      trial_ends_at           timestamptz,
      cancels_at              timestamptz,
      scheduled_tier          text,
      scheduled_at            timestamptz,
      past_due_at             timestamptz,
      ended_at                timestamptz,
      version                 bigint not null,
      primary key (provider, id)
    )`,
    `create index subscriptions_by_org on ${s}.subscriptions (org, provider, id)`,

    `create table ${s}.checkouts (
      org            text collate "C" primary key,
      provider       text not null,
      tier           text not null,
      id             text not null,
      state          text not null check (state in ('creating', 'open', 'closed')),
      session_id     text,
      url            text,
      expires_at     timestamptz,
      -- While the state is 'creating': until when its caller alone talks to the provider.
      claimed_until  timestamptz not null
    )`,

    `create table ${s}.inbox (
      provider         text collate "C" not null,
      livemode         boolean not null,
      id               text collate "C" not null,
      type             text not null,
      customer_id      text collate "C",
      subscription_id  text,
      created_at       timestamptz not null,
      -- Null: not done yet.
      result           text check (result in ('applied', 'ignored', 'unmatched')),
      token            text,
      claimed_at       timestamptz not null,
      claimed_until    timestamptz not null,
      primary key (provider, livemode, id)
    )`,
    `create index inbox_unmatched on ${s}.inbox (provider, customer_id, created_at, id) where result = 'unmatched'`,
    `create index inbox_unmatched_by_age on ${s}.inbox (created_at, id) where result = 'unmatched'`,
    `create index inbox_done on ${s}.inbox (claimed_at) where result is not null`,

    `create table ${s}.overrides (
      id            text collate "C" primary key,
      subject_type  text collate "C" not null,
      subject_id    text collate "C" not null,
      key           text collate "C" not null,
      -- Null: every period of the key.
      period        text collate "C",
      -- Null: unlimited.
      limit_value   bigint check (limit_value >= 0),
      expires_at    timestamptz,
      reason        text,
      created_by    text not null,
      created_at    timestamptz not null,
      updated_at    timestamptz not null
    )`,
    `create unique index overrides_by_subject
      on ${s}.overrides (subject_type, subject_id, key, coalesce(period, ''))`,

    `create table ${s}.degradations (
      org               text collate "C" primary key,
      policy            text,
      over_capacity_at  timestamptz,
      -- The furthest stage of the present spell that was announced.
      stage             text not null default 'none'
                        check (stage in ('none', 'warned', 'degraded', 'marked_for_delete')),
      version           bigint not null
    )`,
    `create table ${s}.flags (
      org         text collate "C" not null,
      position    bigint not null,
      resource    text not null,
      id          text not null,
      state       text not null check (state in ('flagged', 'degraded', 'marked_for_delete')),
      flagged_at  timestamptz not null,
      marked_at   timestamptz,
      primary key (org, position)
    )`,
    `create table ${s}.pins (
      org       text collate "C" not null,
      resource  text collate "C" not null,
      id        text collate "C" not null,
      primary key (org, resource, id)
    )`,

    `create table ${s}.sweeps (
      org            text collate "C" primary key,
      -- Null: not on the list.
      due_at         timestamptz,
      -- Null: in no sweeper's hands.
      claimed_until  timestamptz,
      fence          bigint not null default 0
    )`,
    // A claim that ran out unfinished is due since that moment.
    `create index sweeps_by_due on ${s}.sweeps (least(due_at, claimed_until), org)`,
    `create table ${s}.row_actions (
      org         text collate "C" not null,
      resource    text collate "C" not null,
      id          text collate "C" not null,
      action      text not null check (action in ('suspend', 'remove', 'restore')),
      state       text not null check (state in ('sighted', 'started', 'done')),
      key         text not null,
      sighted_at  timestamptz not null,
      primary key (org, resource, id)
    )`,
    `create table ${s}.crossings (
      org      text collate "C" not null,
      subject  text collate "C" not null,
      spell    double precision not null,
      level    double precision not null,
      primary key (org, subject)
    )`,

    `create table ${s}.usage (
      org           text collate "C" not null,
      key           text collate "C" not null,
      window_label  text collate "C" not null,
      used          bigint not null check (used >= 0),
      ends_at       timestamptz,
      primary key (org, key, window_label)
    )`,
    `create index usage_by_end on ${s}.usage (ends_at) where ends_at is not null`,

    `create table ${s}.audit (
      position  bigint generated always as identity primary key,
      at        timestamptz not null,
      org       text collate "C" not null,
      actor     text not null,
      action    text not null,
      subject   text not null,
      before    jsonb,
      after     jsonb
    )`,
    `create index audit_by_org on ${s}.audit (org, position)`,
  ],
};
