import { mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fakeClock } from '@tollgate/testing';
import { afterEach, describe, expect, it, vi } from 'vitest';
import type { SandboxOptions } from './sandbox-options.ts';
import { type SandboxProvider, sandboxProvider } from './sandbox-provider.ts';

const endings: (() => unknown)[] = [];
afterEach(async () => {
  for (const end of endings.splice(0).reverse()) await end();
});

function makeSandbox(options: Partial<SandboxOptions> = {}): SandboxProvider {
  const sandbox = sandboxProvider({ webhookUrl: null, ...options });
  endings.push(() => sandbox.close());
  return sandbox;
}

function temporaryFile(): string {
  const folder = mkdtempSync(join(tmpdir(), 'sandbox-'));
  endings.push(() => rmSync(folder, { recursive: true }));
  return join(folder, 'deep', 'sandbox.json');
}

async function openPage(
  sandbox: SandboxProvider,
  org = 'acme',
  tier = 'pro',
): Promise<{ id: string; url: string }> {
  const { customerId } = await sandbox.createCustomer({ org, idempotencyKey: `c-${org}` });
  const { id, url } = await sandbox.openCheckout({
    org,
    customerId,
    tier,
    idempotencyKey: `k-${org}-${Math.random()}`,
  });
  return { id, url: url ?? '' };
}

interface Received {
  readonly path: string;
  readonly headers: IncomingHttpHeaders;
  readonly bytes: Buffer;
}

/** An app that takes webhooks, answering with the given statuses in turn, then 200. */
async function startApp(statuses: number[] = []) {
  const received: Received[] = [];
  const server = createServer((message, response) => {
    const chunks: Buffer[] = [];
    message.on('data', (chunk) => chunks.push(chunk));
    message.on('end', () => {
      received.push({ path: message.url ?? '', headers: message.headers, bytes: Buffer.concat(chunks) });
      response.writeHead(statuses.shift() ?? 200).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  endings.push(() => {
    server.closeAllConnections();
    return new Promise((resolve) => server.close(resolve));
  });
  return { received, url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks/sandbox` };
}

const post = (url: string, form: Record<string, string> = {}, headers: Record<string, string> = {}) =>
  fetch(url, { method: 'POST', body: new URLSearchParams(form), headers, redirect: 'manual' });

describe('the confirm page', () => {
  it('shows plan and org, and confirms by a POST to its own address', async () => {
    const sandbox = makeSandbox();
    const { id, url } = await openPage(sandbox);
    expect(url).toBe(`${sandbox.origin}/checkout/${id}`);
    const page = await fetch(url);
    const text = await page.text();
    expect(page.status).toBe(200);
    expect(page.headers.get('cache-control')).toBe('no-store');
    expect(text).toContain('<dd>pro</dd>');
    expect(text).toContain('<dd>acme</dd>');
    const answer = await post(url);
    expect(answer.status).toBe(200);
    expect(await answer.text()).toContain('acme is on the plan pro');
    expect(sandbox.contents().subscriptions).toMatchObject([{ tier: 'pro', status: 'active' }]);
  });

  it('confirms once, however often and however fast it is posted', async () => {
    const sandbox = makeSandbox();
    const { url } = await openPage(sandbox);
    const answers = await Promise.all(Array.from({ length: 20 }, () => post(url)));
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
    expect(sandbox.contents().subscriptions).toHaveLength(1);
    expect((await fetch(url)).status).toBe(200);
  });

  it('leads back to the host’s page, saying how it went', async () => {
    const sandbox = makeSandbox({ returnUrl: 'https://app.example.com/billing?org=acme' });
    const paid = await openPage(sandbox);
    const answer = await post(paid.url, { action: 'confirm' });
    expect(answer.status).toBe(303);
    expect(answer.headers.get('location')).toBe(
      `https://app.example.com/billing?org=acme&checkout=success&session_id=${paid.id}`,
    );
    expect(answer.headers.get('content-security-policy')).toContain(
      "form-action 'self' https://app.example.com",
    );
    const left = await openPage(sandbox);
    expect((await post(left.url, { action: 'cancel' })).headers.get('location')).toContain(
      'checkout=canceled',
    );
  });

  it('sells nothing on a declined card and stays open', async () => {
    const sandbox = makeSandbox();
    const { id, url } = await openPage(sandbox);
    const answer = await post(url, { action: 'decline' });
    expect(answer.headers.get('location')).toBe(`/checkout/${id}?declined`);
    expect(await (await fetch(new URL(answer.headers.get('location') ?? '', url))).text()).toContain(
      'declined',
    );
    expect(sandbox.contents().subscriptions).toEqual([]);
    expect(await sandbox.fetchCheckout({ sessionId: id })).toMatchObject({ state: 'open' });
  });

  it('is closed for good after cancel', async () => {
    const sandbox = makeSandbox();
    const { url } = await openPage(sandbox);
    expect((await post(url, { action: 'cancel' })).status).toBe(200);
    expect((await fetch(url)).status).toBe(410);
    await post(url);
    expect(sandbox.contents().subscriptions).toEqual([]);
  });

  it('runs out after a day', async () => {
    const clock = fakeClock();
    const sandbox = makeSandbox({ clock });
    const { id, url } = await openPage(sandbox);
    clock.advance(24 * 3_600_000);
    expect((await fetch(url)).status).toBe(410);
    expect(await sandbox.fetchCheckout({ sessionId: id })).toMatchObject({ state: 'expired', url: null });
    expect(sandbox.events().map(({ type }) => type)).toEqual(['checkout.expired']);
  });

  it('puts no foreign markup on the page', async () => {
    const sandbox = makeSandbox();
    const { url } = await openPage(sandbox, '<script>alert(1)</script>', "\"><img src=x onerror='x'>&");
    const text = await (await fetch(url)).text();
    expect(text).not.toContain('<script>');
    expect(text).not.toContain('<img');
    expect(text).toContain('&lt;script&gt;');
    expect(text).toContain('&quot;&gt;&lt;img src=x onerror=&#39;x&#39;&gt;&amp;');
  });
});

describe('the sandbox’s server', () => {
  it('T21: takes forms of its own pages and of programs, of no other site', async () => {
    const sandbox = makeSandbox();
    const { url } = await openPage(sandbox);
    const foreign: Record<string, string>[] = [
      { origin: 'https://evil.example' },
      { origin: 'null' },
      { origin: 'http://127.0.0.1:1' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ];
    for (const headers of foreign) expect((await send(url, headers)).status).toBe(403);
    expect(sandbox.contents().subscriptions).toEqual([]);
    expect((await send(url, { origin: sandbox.origin ?? '', 'sec-fetch-site': 'same-origin' })).status).toBe(
      200,
    );
  });

  it('answers under its own names only', async () => {
    const sandbox = makeSandbox();
    const { url } = await openPage(sandbox);
    const { port } = new URL(url);
    expect((await send(url, { host: `evil.example:${port}` })).status).toBe(421);
    expect((await send(url, { host: '127.0.0.1:1' })).status).toBe(421);
    expect((await send(url, { host: `localhost:${port}` })).status).toBe(200);
  });

  it('T33: knows GET, HEAD and POST, and HEAD changes nothing', async () => {
    const sandbox = makeSandbox();
    const { url } = await openPage(sandbox);
    const put = await fetch(url, { method: 'PUT' });
    expect([put.status, put.headers.get('allow')]).toEqual([405, 'GET, HEAD, POST']);
    const head = await fetch(url, { method: 'HEAD' });
    expect([head.status, await head.text()]).toEqual([200, '']);
    expect(sandbox.contents().subscriptions).toEqual([]);
  });

  it('knows no other pages, buttons or big forms', async () => {
    const sandbox = makeSandbox();
    const { url } = await openPage(sandbox);
    for (const path of [
      '/',
      '/checkout',
      '/checkout/',
      '/checkout/none',
      '/portal/none',
      '/checkout/a/b',
      '/__proto__/x',
    ]) {
      expect((await fetch(`${sandbox.origin}${path}`)).status).toBe(404);
    }
    expect((await post(url, { action: 'steal' })).status).toBe(400);
    expect((await post(url, { action: 'x'.repeat(20_000) })).status).toBe(413);
    expect(sandbox.contents().subscriptions).toEqual([]);
  });

  it('listens on loopback only, starts at first use and once', async () => {
    const sandbox = makeSandbox();
    expect([sandbox.origin, sandbox.pageOrigins]).toEqual([null, []]);
    await Promise.all([sandbox.start(), sandbox.start(), openPage(sandbox)]);
    expect(sandbox.origin).toMatch(/^http:\/\/127\.0\.0\.1:\d+$/);
    expect(sandbox.pageOrigins).toEqual([sandbox.origin]);
    await sandbox.start();
    await sandbox.close();
    await expect(sandbox.start()).rejects.toMatchObject({ code: 'provider_error' });
  });

  it('says which port is taken', async () => {
    const first = makeSandbox();
    await first.start();
    const port = Number(new URL(first.origin ?? '').port);
    await expect(makeSandbox({ port }).start()).rejects.toMatchObject({
      code: 'invalid_configuration',
      message: expect.stringContaining(String(port)),
    });
  });
});

describe('the portal page', () => {
  async function openPortal(options: Partial<SandboxOptions> = {}) {
    const sandbox = makeSandbox({ tiers: ['pro', 'business'], ...options });
    const { id } = await openPage(sandbox);
    const { customerId, subscriptionId } = sandbox.confirm(id);
    const { url } = await sandbox.portal.openPortal({
      customerId,
      returnUrl: 'https://app.example.com/?a=1&b="',
    });
    return { sandbox, url, subscription: subscriptionId ?? '' };
  }

  it('shows the subscription, a button for each other tier and the way back', async () => {
    const { url } = await openPortal();
    const text = await (await fetch(url)).text();
    expect(text).toContain('<dd>pro</dd>');
    expect(text).toContain('Change to business');
    expect(text).not.toContain('Change to pro');
    expect(text).toContain('href="https://app.example.com/?a=1&amp;b=&quot;"');
  });

  it('changes, lets a payment fail, pays, renews and cancels', async () => {
    const { sandbox, url, subscription } = await openPortal();
    const now = async (form: Record<string, string>) => {
      expect((await post(url, { subscription, ...form })).status).toBe(303);
      return sandbox.contents().subscriptions[0];
    };
    expect(await now({ action: 'change', tier: 'business' })).toMatchObject({ tier: 'business' });
    expect(await now({ action: 'past_due' })).toMatchObject({ status: 'past_due' });
    expect(await now({ action: 'pay' })).toMatchObject({ status: 'active' });
    const before = sandbox.contents().subscriptions[0]?.currentPeriodEndsAt ?? 0;
    expect((await now({ action: 'renew' }))?.currentPeriodEndsAt).toBe(before + 30 * 86_400_000);
    expect(await now({ action: 'cancel' })).toMatchObject({ status: 'canceled' });
    expect(sandbox.events().map(({ type }) => type)).toEqual([
      'checkout.completed',
      'subscription.created',
      'invoice.paid',
      'subscription.updated',
      'invoice.failed',
      'subscription.updated',
      'invoice.paid',
      'subscription.updated',
      'invoice.paid',
      'subscription.updated',
      'subscription.canceled',
    ]);
    expect((await post(url, { subscription, action: 'change', tier: 'pro' })).status).toBe(409);
  });

  it('acts on its customer’s subscriptions only, and sells no unknown tier', async () => {
    const { sandbox, url, subscription } = await openPortal();
    const other = sandbox.confirm((await openPage(sandbox, 'globex')).id).subscriptionId ?? '';
    expect((await post(url, { subscription: other, action: 'cancel' })).status).toBe(404);
    expect((await post(url, { subscription, action: 'change', tier: 'enterprise' })).status).toBe(400);
    expect((await post(url, { subscription, action: 'change' })).status).toBe(400);
    expect(sandbox.contents().subscriptions.map(({ tier, status }) => [tier, status])).toEqual([
      ['pro', 'active'],
      ['pro', 'active'],
    ]);
  });

  it('ends at the period’s end where it is so configured', async () => {
    const { sandbox, url, subscription } = await openPortal({ cancel: 'at_period_end' });
    await post(url, { subscription, action: 'cancel' });
    expect(sandbox.contents().subscriptions).toMatchObject([
      { status: 'active', cancelsAt: expect.any(Number) },
    ]);
    expect(sandbox.renew(subscription)).toMatchObject({ status: 'canceled' });
  });

  it('is gone after an hour', async () => {
    const clock = fakeClock();
    const { url } = await openPortal({ clock });
    clock.advance(3_600_000);
    expect((await fetch(url)).status).toBe(404);
  });
});

describe('the sandbox’s webhooks', () => {
  it('are posted, signed, before the customer is sent back', async () => {
    const app = await startApp();
    const sandbox = makeSandbox({ webhookUrl: app.url });
    const { url } = await openPage(sandbox);
    await post(url);
    const types: string[] = [];
    for (const { path, headers, bytes } of app.received) {
      expect([path, headers['content-type']]).toEqual(['/hooks/sandbox', 'application/json']);
      const header = (name: string) => headers[name]?.toString();
      types.push(...(await sandbox.readWebhook({ bytes, header, now: Date.now() })).map(({ type }) => type));
    }
    expect(types).toEqual(['checkout.completed', 'subscription.created', 'invoice.paid']);
  });

  it('come again until the app takes them', async () => {
    const app = await startApp([500, 503, 404]);
    const sandbox = makeSandbox({ webhookUrl: app.url, retryDelaysMs: [1, 1, 1, 1] });
    sandbox.confirm((await openPage(sandbox)).id);
    await sandbox.settled();
    const ids = app.received.map(({ bytes }) => JSON.parse(bytes.toString()).id);
    expect(ids).toHaveLength(6);
    expect(new Set(ids).size).toBe(3);
  });

  it('do not come for ever', async () => {
    const app = await startApp(Array.from({ length: 100 }, () => 500));
    const sandbox = makeSandbox({ webhookUrl: app.url, retryDelaysMs: [1, 1] });
    sandbox.decline((await openPage(sandbox)).id);
    await sandbox.settled();
    expect(app.received).toHaveLength(3);
  });

  it('follow no redirect with their signature', async () => {
    const app = await startApp();
    const bouncer = createServer((_, response) => response.writeHead(307, { location: app.url }).end());
    await new Promise<void>((resolve) => bouncer.listen(0, '127.0.0.1', resolve));
    endings.push(
      () => new Promise((resolve) => bouncer.close(resolve)),
      () => bouncer.closeAllConnections(),
    );
    const { port } = bouncer.address() as AddressInfo;
    const sandbox = makeSandbox({ webhookUrl: `http://127.0.0.1:${port}`, retryDelaysMs: [] });
    sandbox.decline((await openPage(sandbox)).id);
    await sandbox.settled();
    expect(app.received).toEqual([]);
  });

  it('can be sent again, to an address the app learnt late', async () => {
    const app = await startApp();
    let url: string | null = null;
    const sandbox = makeSandbox({ webhookUrl: () => url });
    sandbox.decline((await openPage(sandbox)).id);
    await sandbox.settled();
    url = app.url;
    const [event] = sandbox.events();
    await sandbox.resend(event?.id ?? '');
    expect(app.received).toHaveLength(1);
    await expect(sandbox.resend('evt_none')).rejects.toMatchObject({ code: 'not_found' });
  });

  it('do not keep it from closing', async () => {
    const sandbox = makeSandbox({ webhookUrl: 'http://127.0.0.1:9/', retryDelaysMs: [60_000] });
    sandbox.decline((await openPage(sandbox)).id);
    await sandbox.close();
    await sandbox.settled();
    expect(sandbox.events()).toHaveLength(1);
  });

  it('T9: take nothing from inherited properties', async () => {
    const sandbox = makeSandbox();
    const bytes = new TextEncoder().encode(
      '{"__proto__":{"id":"a","type":"b","created":1,"livemode":false,"data":{}}}',
    );
    const headers = sandbox.sign(bytes);
    const reading = sandbox.readWebhook({ bytes, header: (name) => headers[name], now: Date.now() });
    await expect(reading).rejects.toMatchObject({ code: 'invalid_event' });
  });
});

describe('the sandbox’s file', () => {
  it('is begun and locked where errors of Node’s own modules are of another realm, as under Jest', async () => {
    vi.stubGlobal('Error', class extends Error {});
    endings.push(() => vi.unstubAllGlobals());
    const file = temporaryFile();
    const sandbox = makeSandbox({ file });
    writeFileSync(`${file}.lock`, '');
    utimesSync(`${file}.lock`, 0, 0);
    expect((await openPage(sandbox)).id).toMatch(/^cs_/);
  });

  it('is shared by processes: what one sells the other knows, changes and signs alike', async () => {
    const file = temporaryFile();
    const first = makeSandbox({ file });
    const second = makeSandbox({ file });
    const { id } = await openPage(first);
    const seen = await second.fetchCheckout({ sessionId: id });
    expect(seen).toMatchObject({ state: 'open', url: expect.stringContaining(second.origin ?? 'none') });
    const { subscriptionId, customerId } = second.confirm(id);
    expect(await first.history.listEvents({ since: 0 })).toHaveLength(3);
    expect(first.confirm(id).subscriptionId, 'paid once').toBe(subscriptionId);
    expect(await first.listSubscriptions({ customerId })).toMatchObject([{ tier: 'pro', status: 'active' }]);
    const change = { subscriptionId: subscriptionId ?? '', tier: 'business', idempotencyKey: 'k' };
    const [changed, again] = await Promise.all([
      first.changeSubscription(change),
      second.changeSubscription(change),
    ]);
    expect(again).toEqual(changed);
    expect(second.contents()).toEqual(first.contents());
    expect(second.events().map((event) => event.id)).toEqual(first.events().map((event) => event.id));
    const last = second.events().at(-1)?.id ?? '';
    const { bytes, headers } = first.signed(last);
    const read = { bytes, header: (name: string) => headers[name], now: Date.now() };
    expect(await second.readWebhook(read)).toMatchObject([{ id: last, tier: 'business' }]);
  });

  it('is taken over from a process that died while it wrote', async () => {
    const file = temporaryFile();
    const sandbox = makeSandbox({ file });
    writeFileSync(`${file}.lock`, '');
    utimesSync(`${file}.lock`, 0, 0);
    expect((await openPage(sandbox)).id).toMatch(/^cs_/);
  });

  it('lets a restarted sandbox go on, at its old address', async () => {
    const file = temporaryFile();
    const first = makeSandbox({ file });
    const paid = await openPage(first);
    const open = await openPage(first, 'globex');
    const { subscriptionId } = first.confirm(paid.id);
    const [event] = first.events();
    const signed = first.signed(event?.id ?? '');
    await first.close();

    const second = makeSandbox({ file });
    await second.start();
    expect(second.origin).toBe(new URL(paid.url).origin);
    expect(await second.fetchSubscription({ subscriptionId: subscriptionId ?? '' })).toMatchObject({
      status: 'active',
    });
    expect((await post(open.url)).status).toBe(200);
    const read = second.readWebhook({
      bytes: signed.bytes,
      header: (name) => signed.headers[name],
      now: Date.now(),
    });
    expect(await read).toMatchObject([{ id: event?.id }]);
    const again = await second.createCustomer({ org: 'acme', idempotencyKey: 'c-acme' });
    expect(second.contents().customers.filter(({ org }) => org === 'acme')).toEqual([
      { id: again.customerId, org: 'acme' },
    ]);
  });

  it('sends what the app never took', async () => {
    const file = temporaryFile();
    const first = makeSandbox({ file, webhookUrl: 'http://127.0.0.1:9/', retryDelaysMs: [] });
    first.confirm((await openPage(first)).id);
    await first.settled();
    await first.close();
    const app = await startApp();
    const second = makeSandbox({ file, webhookUrl: app.url });
    await second.start();
    await second.settled();
    expect(app.received).toHaveLength(3);
    await second.close();
    const third = makeSandbox({ file, webhookUrl: app.url });
    await third.start();
    await third.settled();
    expect(app.received).toHaveLength(3);
  });

  it('is its owner’s alone, and always whole', async () => {
    const file = temporaryFile();
    const sandbox = makeSandbox({ file });
    await openPage(sandbox);
    expect(statSync(file).mode & 0o777).toBe(0o600);
    expect(() => JSON.parse(readFileSync(file, 'utf8'))).not.toThrow();
  });

  it.each(['', '{', '[]', 'null', '{"format":2}'])(
    'is refused by name when it is something else: %j',
    async (text) => {
      const file = temporaryFile();
      const sandbox = makeSandbox({ file });
      await openPage(sandbox);
      writeFileSync(file, text);
      expect(() => sandboxProvider({ webhookUrl: null, file })).toThrow(
        expect.objectContaining({ code: 'invalid_configuration', message: expect.stringContaining(file) }),
      );
    },
  );
});

describe('the sandbox’s options', () => {
  it.each(['', ' ', '\t\n', '\u00a0', '\u2003\ufeff', '\u200b'])(
    'T2: refuse a blank secret: %j',
    (secret) => {
      expect(() => sandboxProvider({ webhookUrl: null, secret })).toThrow(
        expect.objectContaining({
          code: 'invalid_configuration',
          message: expect.stringContaining('secret'),
        }),
      );
    },
  );

  it('name every fault at once', () => {
    const wrong = {
      webhookUrl: 'ftp://x',
      host: 'example.com',
      port: 70_000,
      returnUrl: 'javascript:x',
      cancel: 'never',
      retryDelaysMs: [-1],
      name: 'a/b',
    } as unknown as SandboxOptions;
    expect(() => sandboxProvider(wrong)).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(/webhookUrl.*host.*port.*returnUrl.*cancel.*retryDelaysMs.*name/),
      }),
    );
    expect(() => sandboxProvider({} as SandboxOptions)).toThrow(/webhookUrl is missing/);
  });
});

/** A POST with headers a browser sets and fetch does not let through. */
function send(url: string, headers: Record<string, string>): Promise<{ status: number }> {
  return new Promise((resolve, reject) => {
    const sending = httpRequest(url, { method: 'POST', headers }, (response) => {
      response.resume();
      response.on('end', () => resolve({ status: response.statusCode ?? 0 }));
    });
    sending.on('error', reject);
    sending.end();
  });
}
