import { readFileSync } from 'node:fs';
import { ERROR_CODES, type ErrorCode } from '@tollgate/core';
import { describe, expect, test } from 'vitest';

const page = readFileSync(new URL('../../docs/errors.md', import.meta.url), 'utf8');
const entries = new Map(
  page
    .split(/^### /m)
    .slice(1)
    .map((entry) => {
      const [head = '', ...rest] = entry.split('\n');
      const [, code = '', status = ''] = /^`(\w+)` (\d{3})$/.exec(head) ?? [];
      return [code, { status: Number(status), text: rest.join('\n') }] as const;
    }),
);

describe('docs/errors.md', () => {
  test('has one entry for every code, and none for another', () => {
    expect([...entries.keys()].sort()).toEqual(Object.keys(ERROR_CODES).sort());
  });

  test.each(Object.keys(ERROR_CODES) as ErrorCode[])(
    'says of %s its status, when it comes and what to do',
    (code) => {
      const entry = entries.get(code);
      expect(entry?.status).toBe(ERROR_CODES[code].status);
      expect(entry?.text).toMatch(/^When: \S.{10,}/m);
      expect(entry?.text).toMatch(/^Do: \S.{10,}/m);
    },
  );
});
