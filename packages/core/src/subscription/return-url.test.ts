import { describe, expect, it } from 'vitest';
import { checkPageUrl } from './page-url.ts';
import { checkReturnUrl } from './return-url.ts';

const ORIGINS = [
  'https://app.example.com',
  'https://app.example.com:8443',
  'http://localhost:3000',
  'http://127.0.0.1:3000',
  'http://[::1]:3000',
  'http://plain.example.com',
];
const HOST = 'https://app.example.com';

const ACCEPTED: readonly (readonly [url: string, normal: string])[] = [
  [HOST, `${HOST}/`],
  [`${HOST}/`, `${HOST}/`],
  [`${HOST}:443/x`, `${HOST}/x`],
  [`${HOST}:8443/x`, `${HOST}:8443/x`],
  [`${HOST}/billing?org=acme&x=%0d%0a#tab`, `${HOST}/billing?org=acme&x=%0d%0a#tab`],
  [`${HOST}?next=https://evil.com`, `${HOST}/?next=https://evil.com`],
  [`${HOST}/a/../b`, `${HOST}/b`],
  [`${HOST}/@evil.com`, `${HOST}/@evil.com`],
  [`${HOST}//evil.com`, `${HOST}//evil.com`],
  ['HTTPS://APP.EXAMPLE.COM/Path', `${HOST}/Path`],
  ['http://localhost:3000/back', 'http://localhost:3000/back'],
  ['http://127.0.0.1:3000/', 'http://127.0.0.1:3000/'],
  ['http://[::1]:3000/', 'http://[::1]:3000/'],
  [`${HOST}/${'a'.repeat(2_048 - HOST.length - 1)}`, `${HOST}/${'a'.repeat(2_048 - HOST.length - 1)}`],
];

const REFUSED = [
  '',
  ' ',
  '/',
  '/billing',
  '//app.example.com',
  '///app.example.com',
  'app.example.com',
  'https:app.example.com',
  'https:/app.example.com',
  'https:///app.example.com',
  'https:\\\\app.example.com',
  'https://app.example.com\\@evil.com',
  'https://app.example.com\\.evil.com',
  'https://evil.com\\@app.example.com',
  'https://evil.com/\\app.example.com',
  '/\\evil.com',
  'http://app.example.com',
  'http://app.example.com:443',
  'http://plain.example.com/',
  'https://plain.example.com/',
  'https://localhost:3000/',
  'http://localhost/',
  'http://localhost:3001/',
  'http://localhost.evil.com:3000/',
  'http://127.0.0.1:3000.evil.com/',
  'http://127.1:3000@evil.com/',
  'http://0x7f000001:3001/',
  'https://app.example.com.evil.com/',
  'https://app.example.com.',
  'https://app.example.com./',
  'https://evil-app.example.com',
  'https://app.example.com:8444/',
  'https://app.example.com:99999/',
  'https://app.example.com:/@evil.com:443/x y',
  'https://app.example.com@evil.com/',
  'https://app.example.com:443@evil.com/',
  'https://user@app.example.com/',
  'https://user:pass@app.example.com/',
  'https://:@app.example.com/',
  'https://@app.example.com/',
  'https://evil.com/app.example.com',
  'https://evil.com?app.example.com',
  'https://evil.com#app.example.com',
  'https://evil.com#@app.example.com',
  'https://example.com/',
  'https://APP.EXAMPLE.COM.EVIL.COM/',
  'https://app%2eexample.com/',
  'https://app%00.example.com/',
  'https://app。example.com/',
  'https://app．example.com/',
  'https://аpp.example.com/',
  'https://app.example.com/ä',
  'https://app.exam\tple.com/',
  'https://app.example.com/\n',
  '\thttps://app.example.com/',
  'https://app.example.com/\r\nLocation: https://evil.com',
  'https://app.example.com/ x',
  ' https://app.example.com/',
  'https://app.example.com/\u0000',
  'https://app.example.com/\u007f',
  'https://app.example.com/\u200b',
  'https://[::1]:3000/',
  'https://[app.example.com]/',
  'javascript:alert(1)',
  'javascript://app.example.com/%0aalert(1)',
  'data:text/html,https://app.example.com',
  'blob:https://app.example.com/1234',
  'file:///etc/passwd',
  'ftp://app.example.com/',
  'ws://localhost:3000/',
  'intent://app.example.com#Intent;end',
  'view-source:https://app.example.com/',
  'null',
  'undefined',
  `https://app.example.com/${'a'.repeat(2_048)}`,
];

describe('T19: a return address', () => {
  it.each(ACCEPTED)('is accepted on an allowed origin: %j', (url, normal) => {
    expect(checkReturnUrl(url, ORIGINS)).toBe(normal);
  });

  it.each(REFUSED)('is refused anywhere else: %j', (url) => {
    expect(checkReturnUrl(url, ORIGINS)).toBeNull();
  });

  it.each([null, undefined, 1, {}, [HOST]])('is refused when it is no text: %j', (url) => {
    expect(checkReturnUrl(url as unknown as string, ORIGINS)).toBeNull();
  });

  it('is refused when no origin is allowed', () => {
    expect(checkReturnUrl(HOST, [])).toBeNull();
  });
});

describe('T20: the address of a provider’s page', () => {
  it('is accepted on an origin of the provider, longer than a return address may be', () => {
    const url = `${HOST}/c/pay#${'f'.repeat(4_000)}`;
    expect(checkPageUrl(url, [HOST])).toBe(url);
  });

  it.each(REFUSED.filter((url) => url.length < 2_000))('is a provider error anywhere else: %j', (url) => {
    expect(() => checkPageUrl(url, ORIGINS)).toThrow(expect.objectContaining({ code: 'provider_error' }));
  });
});
