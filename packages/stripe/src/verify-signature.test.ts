import { TollgateError } from '@tollgate/core';
import { describe, expect, it } from 'vitest';
import {
  bytesOf,
  event,
  headerOf,
  hmac,
  NOW,
  OTHER_SECRET,
  read,
  SECRET,
  webhookProvider,
} from './webhook-rig.test-support.ts';

const bytes = bytesOf(event());
const seconds = NOW / 1_000;
const good = hmac(bytes, seconds);

async function refusal(
  header: string | undefined,
  provider = webhookProvider(),
  now = NOW,
): Promise<TollgateError> {
  try {
    await provider.readWebhook({ bytes, header: () => header, now });
  } catch (error) {
    if (error instanceof TollgateError) return error;
    throw error;
  }
  throw new Error('It was accepted.');
}

describe('a signature', () => {
  const hostile: readonly (readonly [string, string | undefined])[] = [
    ['none', undefined],
    ['empty', ''],
    ['blank', ' '],
    ['no time', `v1=${good}`],
    ['no signature', `t=${seconds}`],
    ['an empty signature', `t=${seconds},v1=`],
    ['an empty signature beside a good one', `t=${seconds},v1=,v1=${good}`],
    ['a signature one digit short', `t=${seconds},v1=${good.slice(1)}`],
    ['a signature one digit long', `t=${seconds},v1=${good}0`],
    ['upper-case digits', `t=${seconds},v1=${good.toUpperCase()}`],
    ['something after the signature', `t=${seconds},v1=${good}=x`],
    ['another scheme', `t=${seconds},v0=${good}`],
    ['a space before the scheme', `t=${seconds}, v1=${good}`],
    ['two times', `t=${seconds},t=${seconds},v1=${good}`],
    ['a time in words', `t=now,v1=${good}`],
    ['a time with letters after it', `t=${seconds}abc,v1=${good}`],
    ['a time with a sign', `t=+${seconds},v1=${good}`],
    ['a negative time', `t=-1,v1=${good}`],
    ['a time with a fraction', `t=${seconds}.0,v1=${good}`],
    ['a time of thirteen digits', `t=${'9'.repeat(13)},v1=${good}`],
    ['a time with zeros before it', `t=00${seconds},v1=${good}`],
    ['an empty time', `t=,v1=${good}`],
    ['17 signatures', `t=${seconds},${Array(17).fill(`v1=${good}`).join(',')}`],
    ['1,000 signatures', `t=${seconds},${Array(1_000).fill(`v1=${good}`).join(',')}`],
    ['64 KiB', `t=${seconds},v1=${good},${'x'.repeat(65_536)}`],
    [
      'repeated headers joined',
      `t=${seconds},v1=${good}, t=${seconds},v1=${hmac(bytes, seconds, OTHER_SECRET)}x`,
    ],
    ['another secret', headerOf(bytes, NOW, OTHER_SECRET)],
    ['another body', headerOf(bytesOf('{}'))],
    ['names as values', 't,v1'],
    ['control characters', `t=${seconds},v1=${good}\u0000`],
  ];

  it.each(hostile)('T1, T5: is refused: %s', async (_, header) => {
    expect(await refusal(header)).toMatchObject({ code: 'invalid_signature', status: 400 });
  });

  it('T1: is refused with one message, whatever is wrong', async () => {
    const messages = new Set(
      await Promise.all(hostile.map(async ([, header]) => (await refusal(header)).message)),
    );
    expect([...messages]).toEqual(['The signature does not match.']);
  });

  it('T5: is refused, not crashed on, when a framework hands over a list of headers', async () => {
    const list = [`t=${seconds}`, `v1=${good}`] as unknown as string;
    expect(await refusal(list)).toMatchObject({ code: 'invalid_signature' });
  });

  it('is accepted as one of 16, beside schemes nobody knows', async () => {
    const header = `t=${seconds},${Array(15)
      .fill(`v1=${'0'.repeat(64)}`)
      .join(',')},v1=${good},v2=what,v0=${good}`;
    expect(await read(webhookProvider(), bytes, header)).toHaveLength(1);
  });

  it.each([
    [-301, false],
    [-300, true],
    [0, true],
    [300, true],
    [301, false],
  ])('T3: made %d s from now is accepted: %s', async (offset, accepted) => {
    const header = headerOf(bytes, NOW + offset * 1_000);
    const attempt = read(webhookProvider(), bytes, header);
    if (accepted) expect(await attempt).toHaveLength(1);
    else await expect(attempt).rejects.toMatchObject({ code: 'invalid_signature' });
  });

  it.each([
    `+${seconds}`,
    `${seconds}.0`,
    ` ${seconds}`,
    `${seconds}e0`,
    `0x${seconds.toString(16)}`,
    `000${seconds}`,
  ])(
    'T3: over a time that is not of one to twelve digits is refused, though it is that which was signed: %j',
    async (time) => {
      expect(await refusal(`t=${time},v1=${hmac(bytes, time)}`)).toMatchObject({ code: 'invalid_signature' });
    },
  );

  it('T3: is refused when the app has no sane time', async () => {
    expect(await refusal(headerOf(bytes), webhookProvider(), Number.NaN)).toMatchObject({
      code: 'invalid_signature',
    });
  });

  it('F29: of the old and the new secret is accepted during a roll-over, and of the old one refused after it', async () => {
    let secrets: readonly string[] = [SECRET];
    const provider = webhookProvider({ webhookSecrets: () => secrets });
    const both = `${headerOf(bytes, NOW, OTHER_SECRET)},v1=${good}`;
    expect(await read(provider, bytes, both)).toHaveLength(1);
    for (const order of [
      [SECRET, OTHER_SECRET],
      [OTHER_SECRET, SECRET],
    ]) {
      secrets = order;
      expect(await read(provider, bytes, headerOf(bytes))).toHaveLength(1);
      expect(await read(provider, bytes, headerOf(bytes, NOW, OTHER_SECRET))).toHaveLength(1);
      expect(await read(provider, bytes, both)).toHaveLength(1);
    }
    secrets = [OTHER_SECRET];
    expect(await read(provider, bytes, both)).toHaveLength(1);
    expect(await refusal(headerOf(bytes), provider)).toMatchObject({ code: 'invalid_signature' });
  });

  it.each([
    ['nothing', ''],
    ['blanks', ' \t\n'],
    ['a no-break space', '\u00a0'],
    ['no list', []],
    ['a line end', `${SECRET}\n`],
  ])('T2: is not checked with a secret of %s that turns up at run time: 503', async (_, secret) => {
    const provider = webhookProvider({ webhookSecrets: () => secret });
    const signed = `t=${seconds},v1=${hmac(bytes, seconds, String(secret) || 'x')}`;
    expect(await refusal(signed, provider)).toMatchObject({ code: 'provider_not_configured', status: 503 });
  });

  it('T2: is not checked where the secrets cannot be had at run time: 503, and not the provider’s fault', async () => {
    const cause = new Error('The vault is away.');
    const provider = webhookProvider({
      webhookSecrets: () => {
        throw cause;
      },
    });
    expect(await refusal(headerOf(bytes), provider)).toMatchObject({
      code: 'provider_not_configured',
      status: 503,
      cause,
    });
  });

  it('covers the raw bytes: a body with the same meaning and other bytes is refused', async () => {
    const spaced = bytesOf(JSON.stringify(event(), null, 1));
    await expect(read(webhookProvider(), spaced, headerOf(bytes))).rejects.toMatchObject({
      code: 'invalid_signature',
    });
  });
});
