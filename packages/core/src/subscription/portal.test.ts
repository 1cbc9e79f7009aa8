import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { createWorld, type World } from './subscription-world.test-support.ts';

let world: World;
beforeEach(async () => {
  world = await createWorld();
});
afterEach(async () => {
  await world.close();
});

const request = { org: 'acme', returnUrl: 'https://app.example.com/billing' };

describe('portal', () => {
  it('answers a page of the provider', async () => {
    const { url } = await world.portal(request);
    expect(new URL(url).origin).toBe(world.sandbox.origin);
  });

  it('makes one customer for an org that has none, however many ask at once', async () => {
    await Promise.all(Array.from({ length: 10 }, () => world.portal(request)));
    expect(world.sandbox.contents().customers).toHaveLength(1);
    expect(world.repository.contents().customers.size).toBe(1);
  });

  it('T19: refuses a return address elsewhere, asking nobody', async () => {
    const refused = world.portal({ ...request, returnUrl: 'https://app.example.com.evil.com/' });
    await expect(refused).rejects.toMatchObject({ code: 'invalid_return_url', status: 400 });
    expect(world.sandbox.contents().customers).toEqual([]);
  });

  it('hands the provider the address in its normal form', async () => {
    const asked: string[] = [];
    const { openPortal } = world.sandbox.portal;
    const spied = world.process({
      provider: {
        portal: {
          openPortal: (portalRequest) => {
            asked.push(portalRequest.returnUrl);
            return openPortal(portalRequest);
          },
        },
      },
    });
    await spied.portal({ ...request, returnUrl: 'HTTPS://APP.example.com:443/a/../b' });
    expect(asked).toEqual(['https://app.example.com/b']);
  });

  it('T20: sends nobody to a page elsewhere', async () => {
    const odd = world.process({
      provider: { portal: { openPortal: async () => ({ url: 'https://evil.example/' }) } },
    });
    await expect(odd.portal(request)).rejects.toMatchObject({ code: 'provider_error' });
  });

  it('T29: says so when the provider has none', async () => {
    const plain = world.process({ provider: { portal: null } });
    await expect(plain.portal(request)).rejects.toMatchObject({ code: 'portal_unsupported', status: 501 });
  });

  it('T29: answers the provider’s failures as what they are', async () => {
    world.sandbox.setOutage('timeout');
    await expect(world.portal(request)).rejects.toMatchObject({ code: 'provider_timeout' });
  });

  it('says so when nothing is sold here, and refuses an org id of another form', async () => {
    await expect(world.process({ provider: null }).portal(request)).rejects.toMatchObject({
      code: 'provider_not_configured',
    });
    await expect(world.portal({ ...request, org: 'a b' })).rejects.toMatchObject({ code: 'invalid_org_id' });
  });
});
