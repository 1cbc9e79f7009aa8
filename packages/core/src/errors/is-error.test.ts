import { runInNewContext } from 'node:vm';
import { describe, expect, it } from 'vitest';
import { redact } from '../defaults/redact.ts';
import { createNotices } from '../notices/notices.ts';
import { describeError } from './describe-error.ts';
import { describeFailure } from './describe-failure.ts';

/** As Node's own modules throw them under Jest. */
const foreign = (): Error =>
  runInNewContext(
    `Object.assign(new TypeError('no file with sk_live_1'), { code: 'ENOENT', command: ['SET', 'mail'] })`,
  );
const FACTS = { name: 'TypeError', code: 'ENOENT', message: 'no file with sk_[redacted]' };

describe('an error of another realm', () => {
  it('is told in the log as any other: by its name, code and message, and nothing else of it', () => {
    expect(redact(foreign())).toEqual(FACTS);
    expect(redact(new Error('outer', { cause: foreign() }))).toMatchObject({ cause: FACTS });
    expect(describeFailure(foreign())).toEqual({ error: FACTS });
    expect(describeError(foreign())).toMatchObject({
      error: FACTS,
      stack: expect.stringContaining('no file with sk_[redacted]'),
    });
  });

  it('of a class that is no native error, as those of a time-out or an abort are, too', () => {
    const said = { name: 'TimeoutError', message: 'The operation was aborted due to timeout' };
    expect(redact(Object.create({ ...said, stack: 'TimeoutError: at' }))).toEqual(said);
  });

  it('is named where a listener fails with it', () => {
    const said: unknown[] = [];
    const silent = () => undefined;
    const logger = {
      debug: silent,
      info: silent,
      warn: silent,
      error: (_: string, facts?: object) => void said.push(facts),
    };
    const notices = createNotices({ logger });
    notices.on('invoice.paid', () => {
      throw foreign();
    });
    notices.tell('invoice.paid', { org: 'acme', provider: 'sandbox', subscriptionId: 'sub_1' });
    expect(said).toEqual([{ notice: 'invoice.paid', error: 'TypeError' }]);
  });
});
