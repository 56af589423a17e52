/** People, DNS and what waits for an approval in the pages of Postern's own networks (issue 6): pressed there, it is so at the API. */
import assert from 'node:assert/strict';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser } from 'playwright-core';
import { TailnetNode } from '../../src/tailnet/index.ts';
import { launchChromium, waitUntil } from './browser.ts';
import { checkPage, givePasskey, screenshot, showPresence } from './console-scene.ts';
import { type NetworkBed, openNetwork } from './network-scene.ts';

const ALICE = 'alice@example.com';

let browser: Browser;
before(async () => {
  browser = await launchChromium();
});
after(() => browser.close());

/** An admin before a tailnet `team` with one person. */
async function open(t: TestContext): Promise<NetworkBed> {
  const bed = await openNetwork(t, browser);
  await givePasskey(bed.watched, bed.scene);
  await bed.scene.asOperator('POST', '/api/v1/tailnets', { name: 'team' });
  await bed.scene.asOperator('POST', '/api/v1/tailnets/team/users', { login: ALICE });
  return bed;
}

describe('network', () => {
  test('a person gets another role, is suspended, let back and removed', async (t) => {
    const { scene, watched, list } = await open(t);
    const { page } = watched;
    await page.goto(`${scene.url}/network?tailnet=team&tab=users`);
    const act = async (action: string): Promise<void> => {
      await page.getByRole('button', { name: `Actions of ${ALICE}` }).click();
      await page.getByRole('menuitem', { name: action }).click();
    };
    const person = async (): Promise<readonly unknown[]> => {
      const [user = {}] = await list('tailnets/team/users');
      return [user['role'], user['suspended']];
    };
    const table = page.getByRole('table', { name: 'Users' });
    await page.getByText('Nobody joins by signing in').waitFor();
    await act('Make an admin');
    await showPresence(watched);
    await table.getByText('admin', { exact: true }).waitFor();
    assert.deepEqual(await person(), ['admin', false]);
    await act('Suspend …');
    const asked = page.getByRole('dialog', { name: `Suspend ${ALICE}?` });
    await asked.getByRole('button', { name: 'Cancel' }).click();
    assert.deepEqual(await person(), ['admin', false]);
    await act('Suspend …');
    await asked.getByRole('button', { name: 'Suspend', exact: true }).click();
    await table.getByText('suspended').waitFor();
    assert.deepEqual(await person(), ['admin', true]);
    await checkPage(watched);
    await screenshot(watched, 'network-users');
    await act('Let back');
    await table.getByText('active').waitFor();
    assert.deepEqual(await person(), ['admin', false]);
    await act('Remove …');
    await page
      .getByRole('dialog', { name: `Remove ${ALICE}?` })
      .getByRole('button', { name: 'Remove the user' })
      .click();
    await page.getByText('No user yet').waitFor();
    assert.deepEqual(await list('tailnets/team/users'), []);
    assert.deepEqual(watched.faults, []);
  });

  test('whom a tailnet admits by sign-in is shown, names of strangers as text', async (t) => {
    const { scene, watched } = await open(t);
    await watched.page.route(/\/tailnets\/team\/sign-in$/, (route) =>
      route.fulfill({
        json: {
          providers: ['company'],
          rules: [
            {
              provider: 'company',
              domains: ['example.com'],
              emails: ['<img src=x>@example.net'],
              groups: [],
              policy_groups: { 'all-engineers': 'eng' },
            },
          ],
        },
      }),
    );
    await watched.page.goto(`${scene.url}/network?tailnet=team&tab=users`);
    await watched.page.getByText('<img src=x>@example.net, *@example.com').waitFor();
    await watched.page.getByText('all-engineers is group:eng').waitFor();
    assert.equal(await watched.page.locator('main img').count(), 0);
    await checkPage(watched);
  });

  test('DNS: a line that says nothing holds the save, a refusal of the server is told, what is saved is in force', async (t) => {
    const { scene, watched } = await open(t);
    const { page } = watched;
    await page.goto(`${scene.url}/network?tailnet=team&tab=dns`);
    const save = page.getByRole('button', { name: 'Save the DNS settings' });
    await save.waitFor();
    assert.equal(await save.isDisabled(), true);
    await page.getByLabel('Split DNS').fill('corp.example');
    await page.getByText('“corp.example”: a domain, = and its resolvers.').waitFor();
    assert.equal(await save.isDisabled(), true);
    await page.getByLabel('Split DNS').fill('corp.example = 10.0.0.53, fd00::53\n');
    await page.getByLabel('Search domains').fill('corp.example');
    await page.getByLabel('Further names').fill('wiki.corp.example = somewhere');
    await checkPage(watched);
    await screenshot(watched, 'network-dns');
    await save.click();
    await showPresence(watched);
    await page.getByText(/The value of a DNS record is an IP address/).waitFor();
    await page.getByLabel('Further names').fill('wiki.corp.example = 100.64.0.7');
    await page.getByText('MagicDNS: devices resolve').click();
    await save.click();
    await page.getByText('The DNS settings are in force.').waitFor();
    assert.deepEqual((await scene.asOperator('GET', '/api/v1/tailnets/team/dns')).json, {
      magic_dns: false,
      resolvers: [],
      split: { 'corp.example': ['10.0.0.53', 'fd00::53'] },
      search_domains: ['corp.example'],
      extra_records: [{ name: 'wiki.corp.example', value: '100.64.0.7' }],
    });
  });

  test('a policy that somebody else saved while the save was looked at is not overwritten', async (t) => {
    const { scene, watched, list } = await open(t);
    const { page } = watched;
    await page.goto(`${scene.url}/network?tailnet=team&tab=policy`);
    const editor = page.getByRole('textbox', { name: 'Network policy' });
    await editor.click();
    await page.keyboard.press('ControlOrMeta+a');
    await page.keyboard.insertText('{ "grants": [] }');
    await page.getByText('No errors, and every test holds.').waitFor();
    await page.getByRole('button', { name: 'Review and save' }).click();
    const theirs = '{ "grants": [{ "src": ["*"], "dst": ["*"], "ip": ["tcp:22"] }] }';
    await scene.asOperator('PATCH', '/api/v1/tailnets/team', { policy: theirs });
    const dialog = page.getByRole('dialog', { name: 'Save the policy of team' });
    await dialog.getByRole('button', { name: 'Save and put in force' }).click();
    await showPresence(watched);
    await dialog.getByText(/Somebody saved another policy of this tailnet meanwhile/).waitFor();
    const saved = (await list('tailnets')).find(({ name }) => name === 'team');
    assert.equal(saved?.['policy'], theirs);
  });

  test('a device that waits is approved, and so are the routes that it offers', async (t) => {
    const { scene, watched, list } = await open(t);
    const { page } = watched;
    await scene.asOperator('PATCH', '/api/v1/tailnets/team', { device_approval: true });
    const made = await scene.asOperator('POST', '/api/v1/tailnets/team/keys', {
      description: 'router',
      user: ALICE,
      tags: [],
      reusable: false,
      ephemeral: false,
      preauthorized: false,
      expires_in_sec: 3600,
    });
    const { key, login_server: server } = Object(made.json);
    const stateDir = await mkdtemp(join(tmpdir(), 'postern-page-node-'));
    const node = new TailnetNode({
      stateDir,
      hostname: 'router',
      controlUrl: String(server),
      authKey: String(key),
    });
    const stop = new AbortController();
    const up = node.up({ signal: stop.signal }).catch(() => null);
    t.after(async () => {
      stop.abort();
      await Promise.all([up, node.close()]);
      await rm(stateDir, { recursive: true, force: true });
    });
    // Postern's own node offers no routes; what the page then does is the server's.
    await page.route(/\/tailnets\/team\/devices$/, async (route) => {
      const answer = await route.fetch();
      const body = Object(await answer.json());
      const items = body.items.map((device: object) => ({
        ...device,
        offered_routes: ['10.1.0.0/16', '0.0.0.0/0'],
      }));
      await route.fulfill({ response: answer, json: { ...body, items } });
    });
    await waitUntil(async () => (await list('tailnets/team/devices')).length === 1);
    await page.goto(`${scene.url}/network?tailnet=team`);
    await page.getByRole('table', { name: 'Devices' }).getByRole('link', { name: 'router' }).click();
    const drawer = page.getByRole('dialog', { name: 'router' });
    await drawer.getByRole('button', { name: 'Approve the device' }).click();
    await showPresence(watched);
    await drawer.getByRole('button', { name: 'Approve the device' }).waitFor({ state: 'detached' });
    assert.equal((await list('tailnets/team/devices'))[0]?.['authorized'], true);
    await drawer.getByText('10.1.0.0/16').click();
    await checkPage(watched);
    await drawer.getByRole('button', { name: 'Save the routes' }).click();
    await waitUntil(async () => {
      const [device = {}] = await list('tailnets/team/devices');
      return String(device['approved_routes']) === '10.1.0.0/16';
    });
    await page.unrouteAll({ behavior: 'ignoreErrors' });
    assert.deepEqual(watched.faults, []);
  });
});
