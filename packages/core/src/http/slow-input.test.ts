import { expect, test } from 'vitest';
import { describeError } from '../errors/describe-error.ts';
import { checkOrgId } from '../org/org-id.ts';
import type { HttpRequest } from '../ports/http-message.ts';
import type { QuotaState } from '../quota/types.ts';
import { mountPrefix } from './mount-prefix.ts';
import { rateLimitHeaders } from './rate-limit-headers.ts';
import { matchPath, rawPath, rawQuery } from './raw-path.ts';
import { requestIdOf } from './request-id.ts';
import { fromInstant, identifier } from './wire/scalars.ts';

const LENGTH = 64 * 1024;
const long = (part: string) => part.repeat(Math.ceil(LENGTH / part.length));

/** Texts that make a careless expression go back and forth. */
const TEXTS = [
  'a',
  '/',
  '//',
  '%',
  'a/',
  '?',
  '#',
  '0',
  '1.',
  ' ',
  '-',
  '\\',
  '"',
  '<>',
  'http:',
  'sk_',
  'token',
  'T',
  '2026-',
  '\t',
  '\u00fc',
].map(long);

function quotaOf(key: string): QuotaState {
  const window = { label: 'lifetime', startsAt: null, endsAt: null };
  const limit = { value: 1, source: { kind: 'default' } } as const;
  return { key, period: 'lifetime', unit: 'count', window, limit, remaining: 0 };
}

const readers: Readonly<Record<string, (text: string) => unknown>> = {
  rawPath,
  'rawPath of an absolute target': (text) => rawPath(`h${text}://${text}`),
  rawQuery,
  matchPath: (text) => matchPath('/orgs/{id}/billing/plan', `${text}/billing/plan`),
  mountPrefix,
  fromInstant: (text) => fromInstant(`2026-04-09T12:00:00.${text}`),
  checkOrgId: (text) => checkOrgId(text, /^[A-Za-z0-9_-]{1,64}$/),
  identifier: (text) => identifier.safeParse(text),
  requestIdOf: (text) => requestIdOf({ header: () => text } as unknown as HttpRequest, { next: () => 'id' }),
  describeError: (text) => describeError(new Error(text)),
  rateLimitHeaders: (text) => rateLimitHeaders([quotaOf(text)], [quotaOf(text)], 0, text),
};

test.each(Object.keys(readers))('T34: %s reads 64 KiB of anything in no time', (name) => {
  for (const text of TEXTS) {
    const before = process.cpuUsage();
    try {
      readers[name]?.(text);
    } catch {
      // A refusal is as good as an answer here: what counts is how long it takes.
    }
    const { user, system } = process.cpuUsage(before);
    // A quadratic expression burns seconds on these. Processor time, because the machine may be shared.
    expect((user + system) / 1_000).toBeLessThan(500);
  }
});
