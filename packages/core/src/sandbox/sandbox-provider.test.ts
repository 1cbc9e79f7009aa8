import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, statSync, utimesSync, writeFileSync } from 'node:fs';
import { createServer, request as httpRequest, type IncomingHttpHeaders } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
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
    expect(Object.fromEntries(page.headers)).toMatchObject({
      'cache-control': 'no-store',
      'content-security-policy': expect.stringContaining("frame-ancestors 'none'"),
      'referrer-policy': 'same-origin',
      'x-content-type-options': 'nosniff',
    });
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
    expect((await fetch(paid.url)).status).toBe(200);
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
    const { host } = new URL(url);
    const foreign: Record<string, string>[] = [
      { origin: 'https://evil.example' },
      { origin: `https://${host}` },
      { origin: `http://evil-${host}` },
      { origin: 'null' },
      { origin: 'http://127.0.0.1:1' },
      { 'sec-fetch-site': 'cross-site' },
      { 'sec-fetch-site': 'same-site' },
    ];
    for (const headers of foreign) expect((await send(url, headers)).status).toBe(403);
    expect(sandbox.contents().subscriptions).toEqual([]);
    const own = [
      { origin: sandbox.origin ?? '', 'sec-fetch-site': 'same-origin' },
      { 'sec-fetch-site': 'none' },
    ];
    for (const headers of own) expect((await send(url, headers)).status).toBe(200);
  });

  it('answers under its own names only', async () => {
    const sandbox = makeSandbox();
    const { url } = await openPage(sandbox);
    const { port } = new URL(url);
    expect((await send(url, { host: `evil.example:${port}` })).status).toBe(421);
    expect((await send(url, { host: '127.0.0.1:1' })).status).toBe(421);
    expect((await send(url, { host: `localhost:${port}` })).status).toBe(200);
  });

  it('takes paths alone for addresses, and stays up when one is none or its file fails', async () => {
    const file = temporaryFile();
    const sandbox = makeSandbox({ file });
    const { url } = await openPage(sandbox);
    for (const path of [url, '//', '*']) expect((await send(url, {}, path)).status, path).toBe(400);
    const folder = dirname(file);
    rmSync(folder, { recursive: true });
    writeFileSync(folder, '');
    expect((await send(url, {})).status).toBe(500);
    rmSync(folder);
    expect((await send(url, {})).status).toBe(200);
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
    expect((await post(`${url}/x`)).status).toBe(404);
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

  it('says which port is taken, and takes it when it is free', async () => {
    const first = makeSandbox();
    await first.start();
    const port = Number(new URL(first.origin ?? '').port);
    const second = makeSandbox({ port });
    await expect(second.start()).rejects.toMatchObject({
      code: 'invalid_configuration',
      message: expect.stringContaining(String(port)),
    });
    await first.close();
    await second.start();
    expect(second.origin).toBe(first.origin);
  });

  it('closes while a form is on its way, and keeps no process alive', async () => {
    const alive = () => process.getActiveResourcesInfo().filter((name) => name === 'TCPServerWrap');
    const before = alive();
    const sandbox = makeSandbox();
    const { url } = await openPage(sandbox);
    expect(alive()).toEqual(before);
    const half = httpRequest(url, {
      method: 'POST',
      headers: { 'content-length': 9, expect: '100-continue' },
    });
    half.flushHeaders();
    await once(half, 'continue');
    const broken = once(half, 'error');
    await sandbox.close();
    await broken;
  }, 5_000);
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

  it('offers what can be done, and nothing for a subscription that ended', async () => {
    const { sandbox, url, subscription } = await openPortal({ cancel: 'at_period_end' });
    const buttons = async () =>
      [...(await (await fetch(url)).text()).matchAll(/<button[^>]*>([^<]*)/g)].map(([, label]) => label);
    const rest = ['Renew', 'Cancel subscription'];
    expect(await buttons()).toEqual(['Change to business', 'Let a payment fail', ...rest]);
    await post(url, { subscription, action: 'past_due' });
    expect(await buttons()).toEqual(['Change to business', 'Pay', ...rest]);
    await post(url, { subscription, action: 'cancel' });
    expect(await buttons()).toEqual(['Change to pro', 'Change to business', 'Pay', ...rest]);
    sandbox.renew(subscription);
    expect(await buttons()).toEqual([]);
    expect((await fetch(url)).status).toBe(200);
  });

  it('says so where there is no subscription, and stays while others are opened', async () => {
    const sandbox = makeSandbox();
    const { customerId } = await sandbox.createCustomer({ org: 'acme', idempotencyKey: 'c' });
    const request = { customerId, returnUrl: 'https://app.example.com/' };
    const { url } = await sandbox.portal.openPortal(request);
    await sandbox.portal.openPortal(request);
    expect(await (await fetch(url)).text()).toContain('There is no subscription.');
  });

  it('tells the app before it shows the change', async () => {
    const app = await startApp();
    const { sandbox, url, subscription } = await openPortal({ webhookUrl: app.url });
    await sandbox.settled();
    const before = app.received.length;
    await post(url, { subscription, action: 'cancel' });
    expect(app.received.length).toBe(before + 1);
  });

  it.each(['', 't'.repeat(65)])('sells no tier of the name %j, where it sells all', async (tier) => {
    const sandbox = makeSandbox();
    const { customerId, subscriptionId } = sandbox.confirm((await openPage(sandbox)).id);
    const { url } = await sandbox.portal.openPortal({ customerId, returnUrl: 'https://app.example.com/' });
    const form = { subscription: subscriptionId ?? '', action: 'change', tier };
    expect((await post(url, form)).status).toBe(400);
    expect((await post(url, { ...form, tier: 't'.repeat(64) })).status).toBe(303);
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

describe('the sandbox’s books', () => {
  const DAY_MS = 86_400_000;

  async function subscribe(options: Partial<SandboxOptions> = {}) {
    const clock = fakeClock();
    const sandbox = makeSandbox({ clock, ...options });
    const { id } = await openPage(sandbox);
    const { customerId, subscriptionId } = sandbox.confirm(id);
    return { sandbox, clock, customerId, id: subscriptionId ?? '' };
  }

  it('end the open pages and live subscriptions of a deleted customer, and nothing of anybody else', async () => {
    const { sandbox, clock, customerId, id } = await subscribe();
    sandbox.setStatus(id, 'canceled');
    const live = sandbox.confirm((await openPage(sandbox)).id).subscriptionId;
    await openPage(sandbox);
    sandbox.confirm((await openPage(sandbox, 'globex')).id);
    await openPage(sandbox, 'globex');
    const before = sandbox.contents();
    clock.advance(1_000);
    const told = sandbox.events().length;
    sandbox.deleteCustomer(customerId);
    const after = sandbox.contents();
    const ended = { status: 'canceled', endedAt: clock.now() };
    expect(after.subscriptions).toEqual(
      before.subscriptions.map((one) => (one.id === live ? { ...one, ...ended } : one)),
    );
    expect(after.sessions).toEqual(
      before.sessions.map((page) =>
        page.customerId === customerId && page.state === 'open' ? { ...page, state: 'expired' } : page,
      ),
    );
    expect(
      sandbox
        .events()
        .slice(told)
        .map(({ type }) => type),
    ).toEqual(['checkout.expired', 'subscription.canceled']);
  });

  it('know an idempotency key for a day, with all it was used for', async () => {
    const clock = fakeClock();
    const sandbox = makeSandbox({ clock });
    const { customerId } = await sandbox.createCustomer({ org: 'acme', idempotencyKey: 'c' });
    const other = await sandbox.createCustomer({ org: 'globex', idempotencyKey: 'd' });
    const request = { org: 'acme', customerId, tier: 'pro', quantity: 2, idempotencyKey: 'k' };
    const first = await sandbox.openCheckout(request);
    expect(first.expiresAt).toBe(clock.now() + DAY_MS);
    for (const odd of [{ quantity: 3 }, { interval: 'year' as const }, { customerId: other.customerId }]) {
      await expect(sandbox.openCheckout({ ...request, ...odd })).rejects.toMatchObject({
        code: 'provider_error',
      });
    }
    clock.advance(DAY_MS);
    expect((await sandbox.openCheckout(request)).id).toBe(first.id);
    clock.advance(1);
    expect((await sandbox.openCheckout(request)).id).not.toBe(first.id);
  });

  it('do not end a subscription again whose end was called off, when ending it is repeated', async () => {
    const { sandbox, id } = await subscribe({ cancel: 'at_period_end' });
    const end = { subscriptionId: id, idempotencyKey: 'end' };
    expect((await sandbox.cancelSubscription(end)).cancelsAt).not.toBeNull();
    await sandbox.changeSubscription({ subscriptionId: id, tier: 'business', idempotencyKey: 'move' });
    expect((await sandbox.cancelSubscription(end)).cancelsAt).toBeNull();
  });

  it('end one at its period’s end that is to, one that was never paid at once, and none twice', async () => {
    const { sandbox, clock, id } = await subscribe({ cancel: 'at_period_end' });
    await sandbox.cancelSubscription({ subscriptionId: id, idempotencyKey: 'a' });
    const ended = sandbox.renew(id);
    expect(ended).toMatchObject({ status: 'canceled', cancelsAt: null, endedAt: clock.now() });
    clock.advance(1_000);
    expect([sandbox.renew(id), sandbox.setStatus(id, 'active')]).toEqual([ended, ended]);
    const unpaid = sandbox.confirm((await openPage(sandbox)).id).subscriptionId ?? '';
    sandbox.setStatus(unpaid, 'incomplete');
    expect(await sandbox.cancelSubscription({ subscriptionId: unpaid, idempotencyKey: 'b' })).toMatchObject({
      status: 'canceled',
      endedAt: clock.now(),
    });
  });

  it('take a paid period for the end of arrears, a lapsed page for an end, and tell nothing of no change', async () => {
    const { sandbox, clock, id } = await subscribe();
    sandbox.setStatus(id, 'past_due');
    expect(sandbox.renew(id)).toMatchObject({ status: 'active' });
    const told = sandbox.events().length;
    sandbox.setStatus(id, 'active');
    expect(sandbox.events()).toHaveLength(told);
    expect(sandbox.setStatus(id, 'incomplete_expired')).toMatchObject({ endedAt: clock.now() });
  });

  it('list the live subscription before those that ended', async () => {
    const { sandbox, customerId, id } = await subscribe();
    sandbox.setStatus(id, 'canceled');
    const live = sandbox.confirm((await openPage(sandbox)).id).subscriptionId;
    const listed = await sandbox.listSubscriptions({ customerId });
    expect(listed.map((subscription) => subscription.id)).toEqual([live, id]);
  });

  it('keep the last ten thousand events', async () => {
    const { sandbox, id } = await subscribe();
    const [first] = sandbox.events();
    while (sandbox.events().length < 10_000)
      for (const status of ['past_due', 'active']) sandbox.setStatus(id, status);
    expect(sandbox.events()).toHaveLength(10_000);
    expect(sandbox.events()).not.toContainEqual(first);
  });

  it('tell, since an instant, what happened in it as well', async () => {
    const { sandbox, clock } = await subscribe();
    expect(await sandbox.history.listEvents({ since: clock.now() })).toHaveLength(3);
    expect(await sandbox.history.listEvents({ since: clock.now() + 1 })).toEqual([]);
  });

  it('are copied, not lent, to who looks behind the port', async () => {
    const { sandbox } = await subscribe();
    (sandbox.contents().subscriptions[0] as { status: string }).status = 'canceled';
    expect(sandbox.contents().subscriptions).toMatchObject([{ status: 'active' }]);
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

  it.each([302, 307])('follow no redirect with their signature: %d', async (status) => {
    const app = await startApp();
    const bouncer = createServer((_, response) => response.writeHead(status, { location: app.url }).end());
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
    const sandbox = makeSandbox({ webhookUrl: 'http://127.0.0.1:9/', retryDelaysMs: [60_000, 60_000] });
    sandbox.decline((await openPage(sandbox)).id);
    await sandbox.close();
    await sandbox.settled();
    expect(sandbox.events()).toHaveLength(1);
  });

  it('do not keep it from closing where the app takes one and never answers', async () => {
    const silent = createServer();
    const asked = once(silent, 'request');
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    endings.push(
      () => new Promise((resolve) => silent.close(resolve)),
      () => silent.closeAllConnections(),
    );
    const { port } = silent.address() as AddressInfo;
    const sandbox = makeSandbox({ webhookUrl: `http://127.0.0.1:${port}` });
    sandbox.decline((await openPage(sandbox)).id);
    await asked;
    await sandbox.close();
  }, 5_000);

  it('wait before they come again, and no other waits with them', async () => {
    const app = await startApp([500]);
    const sandbox = makeSandbox({ webhookUrl: app.url, retryDelaysMs: [60_000] });
    const { id } = await openPage(sandbox);
    sandbox.decline(id);
    await vi.waitFor(() => expect(app.received).toHaveLength(1));
    sandbox.decline((await openPage(sandbox, 'globex')).id);
    await vi.waitFor(() => expect(app.received).toHaveLength(2));
    const sessions = app.received.map(({ bytes }) => JSON.parse(bytes.toString()).data.session);
    expect(new Set(sessions).size).toBe(2);
  });

  it('are settled when one that is sent again is taken in the end', async () => {
    const app = await startApp([200, 500]);
    const sandbox = makeSandbox({ webhookUrl: app.url, retryDelaysMs: [1] });
    sandbox.decline((await openPage(sandbox)).id);
    await sandbox.settled();
    void sandbox.resend(sandbox.events()[0]?.id ?? '');
    await sandbox.settled();
    expect(app.received).toHaveLength(3);
  });

  it('T10: of live mode are nothing for an app on the sandbox', async () => {
    const sandbox = makeSandbox();
    sandbox.decline((await openPage(sandbox)).id);
    const { bytes } = sandbox.signed(sandbox.events()[0]?.id ?? '');
    const live = Buffer.from(String(Buffer.from(bytes)).replace('"livemode":false', '"livemode":true'));
    const headers = sandbox.sign(live);
    const header = (name: string) => headers[name];
    expect(await sandbox.readWebhook({ bytes: live, header, now: Date.now() })).toEqual([]);
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
    const portal = new URL(
      (await first.portal.openPortal({ customerId, returnUrl: 'https://app.example.com/' })).url,
    );
    expect((await fetch(`${second.origin}${portal.pathname}`)).status).toBe(200);
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

  it.each(['was away', 'refused it'])('sends what the app never took because it %s', async (why) => {
    const file = temporaryFile();
    const refusing = await startApp([500, 500, 500]);
    const webhookUrl = why === 'was away' ? 'http://127.0.0.1:9/' : refusing.url;
    const first = makeSandbox({ file, webhookUrl, retryDelaysMs: [] });
    first.confirm((await openPage(first)).id);
    await first.settled();
    await first.close();
    const app = await startApp();
    const second = makeSandbox({ file, webhookUrl: app.url });
    await second.start();
    await second.settled();
    expect(app.received).toHaveLength(3);
    await second.close();
    await first.createCustomer({ org: 'globex', idempotencyKey: 'what another process writes' });
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

  it('is refused by name when it cannot be read, and signs with the secret of the options', async () => {
    const file = temporaryFile();
    const secret = 'a secret of the options';
    makeSandbox({ file });
    const sign = (sandbox: SandboxProvider) => sandbox.sign(new Uint8Array(), 0)['sandbox-signature'];
    expect(sign(makeSandbox({ file, secret }))).toBe(sign(makeSandbox({ secret })));
    expect(() => sandboxProvider({ webhookUrl: null, file: dirname(file) })).toThrow(
      expect.objectContaining({ code: 'invalid_configuration' }),
    );
  });

  it.each(['', '{', '[]', 'null', '{"format":2}', '{"format":2,"secret":"of a later version"}'])(
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

  it.each(['localhost.evil.example', 'evil.example', '127.0.0.1.evil.example', '10.0.0.1', ''])(
    'refuse to listen for others than this machine: %j',
    (host) => {
      expect(() => sandboxProvider({ webhookUrl: null, host })).toThrow(/host must be/);
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
      secert: 'x',
    } as unknown as SandboxOptions;
    expect(() => sandboxProvider(wrong)).toThrow(
      expect.objectContaining({
        message: expect.stringMatching(
          /webhookUrl.*host.*port.*returnUrl.*cancel.*retryDelaysMs.*name.*secert/,
        ),
      }),
    );
    for (const options of [{}, undefined])
      expect(() => sandboxProvider(options as SandboxOptions)).toThrow(/webhookUrl is missing/);
    // No engine takes one.
    expect(() => sandboxProvider({ webhookUrl: null, name: '-mine' })).toThrow(
      /name must .* begin with a letter/,
    );
  });
});

/** A POST with headers a browser sets and fetch does not let through. */
function send(
  url: string,
  headers: Record<string, string>,
  path = new URL(url).pathname,
): Promise<{ status: number }> {
  return new Promise((resolve, reject) => {
    const sending = httpRequest(url, { method: 'POST', headers, path }, (response) => {
      response.resume();
      response.on('end', () => resolve({ status: response.statusCode ?? 0 }));
    });
    sending.on('error', reject);
    sending.end();
  });
}
