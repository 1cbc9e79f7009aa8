import { runInNewContext } from 'node:vm';
import { expect, it } from 'vitest';
import { messageOf } from './message-of.ts';
import { classifyRefusal } from './refusal.ts';

const foreign = (message: string): Error => runInNewContext(`new Error(${JSON.stringify(message)})`);

it('reads what a client of another realm says, as one that a test environment of Jest made', () => {
  expect(classifyRefusal(foreign('OOM command not allowed'))).toBe('full');
  expect(classifyRefusal(foreign('CROSSSLOT Keys in request'))).toBe('broken');
  expect(classifyRefusal(foreign('LOADING Redis is loading'))).toBe('later');
  expect(messageOf(foreign('NOSCRIPT'))).toBe('NOSCRIPT');
  for (const none of [undefined, null, 'text', 1, {}]) expect(messageOf(none)).toBe('');
});
