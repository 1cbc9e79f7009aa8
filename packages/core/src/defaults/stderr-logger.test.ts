import { describe, expect, it, vi } from 'vitest';
import { TollgateError } from '../errors/tollgate-error.ts';
import { stderrLogger } from './stderr-logger.ts';

function written(log: () => void): string {
  const lines: string[] = [];
  const write = vi.spyOn(process.stderr, 'write').mockImplementation((text) => {
    lines.push(String(text));
    return true;
  });
  try {
    log();
  } finally {
    write.mockRestore();
  }
  return lines.join('');
}

describe('stderrLogger', () => {
  it('writes warnings and errors as one JSON object a line, and nothing less', () => {
    const text = written(() => {
      stderrLogger.debug('d');
      stderrLogger.info('i');
      stderrLogger.warn('the sweep is late', { orgs: 3 });
      stderrLogger.error('it failed', {
        error: new TollgateError('provider_error', { cause: new Error('socket hang up') }),
      });
    });
    const lines = text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line.replace(/^tollgate /, '')));
    expect(lines).toHaveLength(2);
    expect(lines[0]).toMatchObject({ level: 'warn', message: 'the sweep is late', orgs: 3 });
    expect(lines[1]).toMatchObject({
      level: 'error',
      error: { code: 'provider_error', cause: { message: 'socket hang up' } },
    });
  });

  it('leaves out secrets by their shape and by their name, wherever they hide (T30)', () => {
    const secrets = [
      'whsec_c2VjcmV0',
      'sk_test_51Hverysecret',
      'rk_live_restricted',
      'abc.def.ghi',
      'hunter2',
      'deadbeefdeadbeef',
    ];
    const text = written(() =>
      stderrLogger.error(`bad key sk_test_51Hverysecret`, {
        error: new Error('no endpoint for whsec_c2VjcmV0', { cause: { body: ['rk_live_restricted'] } }),
        sent: 'Authorization: Bearer abc.def.ghi',
        headers: {
          Authorization: 'hunter2',
          'Stripe-Signature': 't=1,v1=deadbeefdeadbeef',
          cookie: 'hunter2',
          'X-API-Key': 'hunter2',
        },
        url: 'redis://default:hunter2@10.0.0.1:6379',
        signature: 't=1,v1=deadbeefdeadbeef',
        nested: [{ deep: 't=1,v1=deadbeefdeadbeef' }],
        asked:
          'request to https://sms.example/send?api_key=hunter2&to=1 failed: access_token=hunter2; password="hunter2"',
        client: { toJSON: () => ({ password: 'hunter2' }) },
      }),
    );
    for (const secret of secrets) expect(text).not.toContain(secret);
    expect(text).toContain('sk_[redacted]');
    expect(text).toContain('send?api_key=[redacted]&to=1 failed');
  });

  it('survives what cannot be written', () => {
    const circle: Record<string, unknown> = { big: 10n };
    circle.self = circle;
    const throwing = {
      get boom(): never {
        throw new Error('no');
      },
    };
    expect(written(() => stderrLogger.error('odd', { circle }))).toContain('"big":"10"');
    const unwritable = {
      toJSON() {
        throw new Error('no');
      },
    };
    for (const facts of [throwing, unwritable, { unwritable }])
      expect(written(() => stderrLogger.error('odd', facts))).toContain('odd');
  });
});
