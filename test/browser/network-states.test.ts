/** The pages of Postern's own networks in Chromium: who may only look, many devices, a large map, and what fails (issue 6). */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser } from 'playwright-core';
import { launchChromium, PHONE, waitUntil, type WatchedPage } from './browser.ts';
import { breakApi, checkPage, type ConsoleSceneOptions, givePasskey, screenshot } from './console-scene.ts';
import { type NetworkBed, openNetwork } from './network-scene.ts';

let browser: Browser;
before(async () => {
  browser = await launchChromium();
});
after(() => browser.close());

const open = (t: TestContext, options: ConsoleSceneOptions = {}): Promise<NetworkBed> =>
  openNetwork(t, browser, options);

/** A device as the API tells it, with names that try to be markup. */
function device(index: number, more: object = {}): object {
  return {
    id: `n${index}`,
    name: `device-${index}`,
    dns_name: `device-${index}.default.postern.internal`,
    hostname: '<img src=x onerror=alert(1)>',
    os: 'linux',
    version: '1.98.0-tabc',
    user: 'alice@example.com',
    tags: [],
    addresses: [`100.64.${index >> 8}.${index & 255}`],
    online: index % 2 === 0,
    authorized: true,
    ephemeral: false,
    key_expires_at: null,
    offered_routes: [],
    approved_routes: [],
    last_seen_at: '2026-11-23T12:00:00.000Z',
    created_at: '2026-11-23T12:00:00.000Z',
    ...more,
  };
}

async function answer(watched: WatchedPage, path: RegExp, items: readonly object[]): Promise<void> {
  await watched.page.route(path, (route) => route.fulfill({ json: { items, next_cursor: null } }));
}

const DEVICES = /\/api\/v1\/tailnets\/[^/]+\/devices$/;

describe('network', () => {
  test('nobody shows up in person: nothing is made', async (t) => {
    const { scene, watched, list } = await open(t);
    const { page } = watched;
    await givePasskey(watched, scene);
    await page.goto(`${scene.url}/network`);
    await page.getByRole('button', { name: 'Create a tailnet' }).click();
    await page.getByLabel('Name').fill('staging');
    await page.getByRole('button', { name: 'Create the tailnet' }).click();
    const asks = page.getByRole('dialog', { name: 'This needs you in person' });
    await asks.getByRole('button', { name: 'Close' }).click();
    await page.getByText('Nothing was done: this needs you in person.').waitFor();
    assert.ok(!(await list('tailnets')).some(({ name }) => name === 'staging'));
  });

  test('an auditor looks and changes nothing; who is neither is told what it takes', async (t) => {
    const { scene, watched } = await open(t, { signInAs: 'auditor' });
    const { page } = watched;
    await answer(watched, DEVICES, [device(0, { offered_routes: ['10.0.0.0/8'] })]);
    await page.goto(`${scene.url}/network?device=n0`);
    const drawer = page.getByRole('dialog', { name: 'device-0' });
    await drawer.getByText('10.0.0.0/8').waitFor();
    assert.equal(await drawer.getByRole('button', { name: /Save|Remove|Expire|Rename/ }).count(), 0);
    await checkPage(watched);
    for (const tab of ['policy', 'keys', 'users', 'settings', 'map']) {
      await page.goto(`${scene.url}/network?tab=${tab}`);
      await page.getByRole('tabpanel').waitFor();
      await page.locator('main .skeleton').first().waitFor({ state: 'detached' });
      assert.equal(
        await page.getByRole('button', { name: /^(?:Create|Add a|Make|Revoke|Delete|Save|Explain)/ }).count(),
        0,
        tab,
      );
    }
    for (const [method, path, body] of [
      ['POST', '/api/v1/tailnets', { name: 'x' }],
      ['POST', '/api/v1/tailnets/default/policy/check', { policy: '{}' }],
      ['POST', '/api/v1/tailnets/default/policy/explain', { source: 'a', destination: 'b', port: 1 }],
    ] as const) {
      const refused = await scene.asViewer(method, path, body);
      assert.equal(Object(refused.json).code, 'role_missing', refused.text);
    }
    const other = await open(t, { signInAs: 'user' });
    assert.equal(await other.watched.page.getByRole('link', { name: 'Network' }).count(), 0);
    await other.watched.page.goto(`${other.scene.url}/network`);
    await other.watched.page.getByText('For auditors and admins').waitFor();
    const reach = await other.scene.asViewer('GET', '/api/v1/tailnets/default/reach');
    assert.equal(Object(reach.json).code, 'role_missing', reach.text);
  });

  test('2,000 devices a page at a time, found by typing, hostile names as text; one device alone', async (t) => {
    const { scene, watched } = await open(t, { signInAs: 'auditor' });
    const { page } = watched;
    await answer(
      watched,
      DEVICES,
      Array.from({ length: 2_000 }, (_, index) => device(index)),
    );
    await page.goto(`${scene.url}/network?state=online`);
    const rows = page.getByRole('table', { name: 'Devices' }).locator('tbody tr');
    await page.getByText('1,000 devices').waitFor();
    assert.equal(await rows.count(), 50);
    await page.getByLabel('Find').fill('device-1998');
    await waitUntil(async () => (await rows.count()) === 1);
    await rows.getByRole('link').click();
    await page.getByRole('dialog', { name: 'device-1998' }).getByText('<img src=x').waitFor();
    assert.equal(await page.locator('img').count(), 0);
    await page.keyboard.press('Escape');
    await page.getByLabel('Find').fill('nothing');
    await page.getByText('No device fits').waitFor();
    await checkPage(watched);
  });

  test('a map of 100 people and their servers: drawn in groups, the table says the same, one end can be looked at', async (t) => {
    const { scene, watched } = await open(t, { signInAs: 'auditor' });
    const { page } = watched;
    const group = (id: string, kind: string, names: string[], devices: number): object => ({
      id,
      kind,
      names,
      devices: Array.from({ length: devices }, (_, index) => `${id}-${index}`),
      online: 1,
    });
    const people = Array.from({ length: 100 }, (_, index) => `person-${index}@example.com`);
    const link = (from: string, to: string, traffic: string[], partial = false): object => ({
      from,
      to,
      traffic,
      behind: to === 'g3' ? ['10.0.0.0/8'] : [],
      partial,
    });
    await page.route(/\/reach$/, (route) =>
      route.fulfill({
        json: {
          groups: [
            group('g1', 'people', people, 100),
            group('g2', 'tags', ['tag:server'], 20),
            group('g3', 'tags', ['tag:<script>alert(1)</script>'], 1),
          ],
          links: [link('g1', 'g1', ['*'], true), link('g1', 'g2', ['tcp:443']), link('g2', 'g3', [])],
          complete: true,
        },
      }),
    );
    await page.goto(`${scene.url}/network?tab=map`);
    await page.getByRole('img', { name: /2 groups at the left, 3 groups/ }).waitFor();
    const table = page.getByRole('table', { name: 'Who may reach what' });
    assert.equal(await table.locator('tbody tr').count(), 3);
    await table.getByText('100 people').first().waitFor();
    await checkPage(watched);
    await screenshot(watched, 'network-map');
    await page.setViewportSize(PHONE);
    await screenshot(watched, 'network-map-phone');
    await page.setViewportSize({ width: 1280, height: 900 });
    await table.getByRole('link', { name: 'tag:server' }).focus();
    await page.keyboard.press('Enter');
    await page.getByRole('heading', { name: 'Devices of tag:server' }).waitFor();
    assert.equal(await table.locator('tbody tr').count(), 2);
    await checkPage(watched);
  });

  test('a fault of the server and no connection are told, and can be tried again', async (t) => {
    const { scene, watched } = await open(t, { signInAs: 'auditor' });
    for (const how of ['fault', 'offline'] as const) {
      const mend = await breakApi(watched, /\/api\/v1\/tailnets$/, how);
      await watched.page.goto(`${scene.url}/network`);
      await watched.page.getByText('The networks could not be loaded').waitFor();
      if (how === 'fault') await checkPage(watched, { isBroken: true });
      await mend();
      await watched.page.getByRole('button', { name: 'Try again' }).click();
      await watched.page
        .getByRole('table', { name: 'Devices' })
        .or(watched.page.getByText('No device yet'))
        .first()
        .waitFor();
    }
  });
});
