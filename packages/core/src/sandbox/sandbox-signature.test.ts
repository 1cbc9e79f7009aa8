import { createHmac } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { signSandboxPayload, verifySandboxSignature } from './sandbox-signature.ts';

const secret = 'a secret of some length';
const bytes = new TextEncoder().encode('{"id":"evt_1"}');
const now = 1_775_736_000_000;
const seconds = String(now / 1_000);
const good = signSandboxPayload(secret, bytes, now);
const hex = good.slice(good.indexOf('v1=') + 3);
const verify = (header: string | undefined, at = now, body: Uint8Array = bytes, key = secret) =>
  verifySandboxSignature({ secret: key, bytes: body, header, now: at });
const refused = expect.objectContaining({
  code: 'invalid_signature',
  message: 'The signature does not match.',
});

describe('a sandbox signature', () => {
  it('is HMAC-SHA256 over the time, a dot and the bytes', () => {
    const expected = createHmac('sha256', secret).update(`${seconds}.{"id":"evt_1"}`).digest('hex');
    expect(good).toBe(`t=${seconds},v1=${expected}`);
    expect(() => verify(good)).not.toThrow();
  });

  it('is accepted among others, in any order, beside schemes it does not know', () => {
    const other = '0'.repeat(64);
    for (const header of [
      `v1=${other},t=${seconds},v1=${hex}`,
      `v0=${hex},${good}`,
      `${good},v1=${hex}`,
      `${good},v1=${other},x=1`,
      `${good},,`,
    ]) {
      expect(() => verify(header), header).not.toThrow();
    }
  });

  const many = (count: number) => Array.from({ length: count }, () => `v1=${'0'.repeat(64)}`).join(',');
  const HOSTILE: readonly (string | undefined)[] = [
    undefined,
    '',
    ' ',
    ',',
    '=',
    't=',
    `t=${seconds}`,
    `v1=${hex}`,
    `t=${seconds},v1=`,
    `t=${seconds},v1`,
    `t=${seconds},v1=${hex.slice(1)}`,
    `t=${seconds},v1=${hex}0`,
    `t=${seconds},v1=${hex.toUpperCase()}`,
    `t=${seconds},v1= ${hex}`,
    `t=${seconds}, v1=${hex}`,
    `t=${seconds};v1=${hex}`,
    `T=${seconds},V1=${hex}`,
    `t=${seconds},t=${seconds},v1=${hex}`,
    `t=${seconds},t=1,v1=${hex}`,
    `t=abc,v1=${hex}`,
    `t=${seconds}abc,v1=${hex}`,
    `t= ${seconds},v1=${hex}`,
    `t=+${seconds},v1=${hex}`,
    `t=-${seconds},v1=${hex}`,
    `t=${seconds}.0,v1=${hex}`,
    `t=1e9,v1=${hex}`,
    `t=0x69,v1=${hex}`,
    `t=NaN,v1=${hex}`,
    `t=Infinity,v1=${hex}`,
    't=9999999999999,v1='.concat(hex),
    `t=${seconds},v1=${'g'.repeat(64)}`,
    `t=${seconds},v1=${'０'.repeat(64)}`,
    `t=${seconds},v1=${'0'.repeat(64)}`,
    `t=${seconds},v0=${hex}`,
    `t=${seconds},v2=${hex}`,
    `t=${seconds},__proto__=${hex}`,
    `${good},${many(16)}`,
    `t=${seconds},${many(1_000)},v1=${hex}`,
    `${good},x=${'y'.repeat(65_536)}`,
    `t=${seconds},v1=${hex}\n`,
    `t=${seconds},v1=${hex}\u0000`,
    '[object Object]',
    'null',
  ];

  it.each(HOSTILE)('T1, T3, T5: is refused with one sentence: %j', (header) => {
    expect(() => verify(header)).toThrow(refused);
  });

  it.each([null, 1, {}, [good], [good, good]])('T5: is refused when it is no text: %j', (header) => {
    expect(() => verify(header as unknown as string)).toThrow(refused);
  });

  it('T5: is found among sixteen, and not looked for among more', () => {
    expect(() => verify(`t=${seconds},${many(15)},v1=${hex}`)).not.toThrow();
    expect(() => verify(`t=${seconds},${many(16)},v1=${hex}`)).toThrow(refused);
  });

  it.each([
    `+${seconds}`,
    `${seconds}.0`,
    ` ${seconds}`,
    `${seconds}e0`,
    `0x${(now / 1_000).toString(16)}`,
    `000${seconds}`,
  ])(
    'T3: over a time that is not of one to twelve digits is refused, though it is that which was signed: %j',
    (time) => {
      const signature = createHmac('sha256', secret).update(`${time}.`).update(bytes).digest('hex');
      expect(() => verify(`t=${time},v1=${signature}`)).toThrow(refused);
    },
  );

  it('T3: holds for 300 s either way, to the ms', () => {
    for (const at of [now - 300_000, now + 300_000]) expect(() => verify(good, at)).not.toThrow();
    for (const at of [now - 300_001, now + 300_001, Number.NaN, Number.POSITIVE_INFINITY]) {
      expect(() => verify(good, at)).toThrow(refused);
    }
  });

  it('T1: is refused over other bytes, another time or another secret', () => {
    expect(() => verify(good, now, new TextEncoder().encode('{"id":"evt_2"}'))).toThrow(refused);
    expect(() => verify(good, now, new Uint8Array())).toThrow(refused);
    expect(() => verify(good.replace(seconds, String(now / 1_000 + 1)))).toThrow(refused);
    expect(() => verify(good, now, bytes, 'another')).toThrow(refused);
  });
});
