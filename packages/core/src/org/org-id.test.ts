import { expect, it } from 'vitest';
import { isOrgId } from './org-id.ts';

it.each(['a\u0000', 'a\n', 'cut \ud83d', '\ude00', '__proto__', '', 'x'.repeat(257)])(
  'takes %j for no org id, whatever the host allows',
  (org) => {
    expect(isOrgId(org, /^.+$/s)).toBe(false);
    expect(isOrgId('größe 😀', /^.+$/s)).toBe(true);
    expect(isOrgId('x'.repeat(256), /^.+$/s)).toBe(true);
  },
);
