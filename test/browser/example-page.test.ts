import type { Browser, Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Example, startExample } from '../examples/start-example.ts';
import { launchChromium } from '../support/services.ts';

describe.each(['express', 'koa'] as const)("the example's page on %s", (framework) => {
  let example: Example;
  let browser: Browser;
  let page: Page;
  const complaints: string[] = [];
  const foreign: string[] = [];

  beforeAll(async () => {
    example = await startExample(framework);
    browser = await launchChromium();
    page = await browser.newPage({ viewport: { width: 1100, height: 1000 }, locale: 'en-US' });
    page.setDefaultTimeout(15_000);
    page.on('console', (message) => {
      if (message.type() === 'error') complaints.push(message.text());
    });
    page.on('pageerror', (error) => complaints.push(String(error)));
    page.on('request', (request) => {
      if (!request.url().startsWith(example.origin)) foreign.push(request.url());
    });
    await page.goto(example.origin);
    await page.waitForSelector('body[data-ready]');
  });
  afterAll(async () => {
    await browser?.close();
    await example?.stop();
  });

  const devices = () => page.locator('.resource[data-key="devices"]');
  const use = () => devices().locator('.use').innerText();
  const shows = (text: string) => devices().locator('.use', { hasText: text }).waitFor();
  const isIdle = () => page.waitForFunction('document.querySelector("button:disabled") === null');
  const add = async () => {
    await isIdle();
    await devices().getByRole('button', { name: 'Add device' }).click();
  };

  it('shows the plan and a bar with limit and source for every resource', async () => {
    expect(await page.locator('#tier').innerText()).toBe('Free');
    expect(await page.locator('.resource .meter').count()).toBe(5);
    expect(await use()).toBe('0 of 3');
    expect(await devices().locator('.facts').innerText()).toContain('default plan');
  });

  it('creates until the limit and then says why not', async () => {
    for (const count of [1, 2, 3]) {
      await add();
      await shows(`${count} of 3`);
    }
    expect(await devices().locator('.meter').getAttribute('class')).toContain('full');
    await add();
    await page.locator('#notice', { hasText: 'quota_exceeded' }).waitFor();
    expect(await use()).toBe('3 of 3');
    await screenshot('at-the-limit');
  });

  it('upgrades on the sandbox page, comes back, and goes on', async () => {
    await page.getByRole('button', { name: 'Upgrade to Pro' }).click();
    await page.waitForURL(/\/checkout\//);
    await page.getByRole('button', { name: 'Confirm', exact: true }).click();
    await page.waitForURL(`${example.origin}/**`);
    await page.locator('#notice', { hasText: 'Thank you' }).waitFor();
    await page.locator('#tier', { hasText: 'Pro' }).waitFor();
    await shows('3 of 50');
    for (const count of [4, 5]) {
      await add();
      await shows(`${count} of 50`);
    }
    expect(await devices().locator('.facts').innerText()).toContain('plan pro');
    await screenshot('upgraded');
  });

  it('downgrades below the use, shows what is too much, and lets an admin choose what stays', async () => {
    await isIdle();
    await page.getByRole('button', { name: 'Downgrade to Free' }).click();
    await page.locator('#stage', { hasText: 'warned' }).waitFor();
    await shows('5 of 3');
    await page.locator('#overages', { hasText: 'devices: 5 of 3, 2 too many' }).waitFor();
    const flagged = devices().locator('li', { hasText: 'flagged' });
    expect(await flagged.count()).toBe(2);
    const kept = await devices().locator('li').nth(4).getAttribute('data-id');
    await screenshot('over-capacity');
    await isIdle();
    await devices().locator(`li[data-id="${kept}"]`).getByRole('button', { name: 'Keep' }).click();
    await devices().locator(`li[data-id="${kept}"]:not(:has(em))`).waitFor();
    await isIdle();
    expect(await devices().locator('li', { hasText: 'flagged' }).count()).toBe(2);
    await page.locator('#policy').selectOption('oldest_first');
    await devices().locator('li', { hasText: 'flagged' }).nth(1).waitFor();
    await devices().locator('li:nth-child(1):has-text("flagged")').waitFor();
  });

  it('opens the door, and shows a member that a member may not buy', async () => {
    await isIdle();
    await page.locator('#open-door').click();
    await page.locator('#door', { hasText: /Open after \d+ ms/ }).waitFor();
    await page.locator('#credential').selectOption('demo-member');
    await isIdle();
    await page.getByRole('button', { name: 'Upgrade to Pro' }).click();
    await page.locator('#notice', { hasText: 'forbidden' }).waitFor();
    await page.locator('#credential').selectOption('demo-other');
    await page.locator('.resource[data-key="devices"] .use', { hasText: '0 of 3' }).waitFor();
    expect(await page.locator('#org').inputValue()).toBe('globex');
  });

  // Its complaint stayed on the page when all was well again.
  it('says that the server does not answer for as long as it does not', async () => {
    await page.route('**/api/**', (route) => route.abort());
    await page.locator('#notice', { hasText: 'does not answer' }).waitFor();
    await page.unroute('**/api/**');
    await page.locator('#notice').waitFor({ state: 'hidden' });
  });

  it('ran without a complaint of the browser, and asked nobody else for anything', () => {
    // The browser itself reports the refusals that the tests provoke.
    expect(complaints.filter((text) => !/status of (429|403)|ERR_FAILED/.test(text))).toEqual([]);
    expect(foreign.filter((url) => !/^http:\/\/127\.0\.0\.1:\d+\/checkout\//.test(url))).toEqual([]);
  });

  async function screenshot(name: string): Promise<void> {
    const folder = process.env.TOLLGATE_SCREENSHOTS;
    if (folder !== undefined)
      await page.screenshot({ path: `${folder}/${framework}-${name}.png`, fullPage: true });
  }
});
