import { runInNewContext } from 'node:vm';
import { Redis } from 'ioredis';
import { expect, inject, it, onTestFinished } from 'vitest';
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

const call = 'redis.call("HGET", {}, 1)';
it.each([
  ['fails in a script', ['EVAL', 'local none; return none.field', '0']],
  ['calls wrongly in a script', ['EVAL', `return ${call}`, '0']],
  ['cannot be read', ['EVAL', 'return (', '0']],
  ['fails in a function', ['FCALL', 'refusal_fails', '0']],
  ['calls wrongly in a function', ['FCALL', 'refusal_calls', '0']],
])(
  'takes what %s for a batch that can only fail, whatever it is told by',
  async (_how, [command = '', ...args]) => {
    const client = new Redis(inject('redisUrl'));
    const library = `#!lua name=refusal
    redis.register_function('refusal_fails', function() local none; return none.field end)
    redis.register_function('refusal_calls', function() return ${call} end)`;
    onTestFinished(() => client.disconnect());
    await client.call('FUNCTION', 'LOAD', 'REPLACE', library);
    const refused = await client.call(command, ...args).catch((error: unknown) => error);
    await client.call('FUNCTION', 'DELETE', 'refusal');
    expect(classifyRefusal(refused)).toBe('broken');
  },
);

it.each(['STALEBATCH a later batch', 'LATEBATCH it is 1:', 'ERR Error running script (call to f_0)'])(
  'takes %s for a refusal that no repeat changes',
  (message) => expect(classifyRefusal(new Error(message))).toBe('broken'),
);

it.each([
  'READONLY You',
  'MASTERDOWN Link',
  'NOPERM this user',
  'ERR max number of clients reached',
  'MOVED 1 a:1',
])('takes %s for one that passes', (message) => expect(classifyRefusal(new Error(message))).toBe('later'));
