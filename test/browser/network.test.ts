/** The pages of Postern's own networks in Chromium (issue 6): what an admin does there is so at the API. */
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

let browser: Browser;
before(async () => {
  browser = await launchChromium();
});
after(() => browser.close());

const open = (t: TestContext): Promise<NetworkBed> => openNetwork(t, browser);

describe('network', () => {
  test('an admin makes a tailnet, a key shown once, a user and a setting, and deletes it by its name; each is so at the API', async (t) => {
    const { scene, watched, list } = await open(t);
    const { page } = watched;
    await givePasskey(watched, scene);
    await page.goto(`${scene.url}/network`);
    await page.getByText('postern serve --lan').waitFor();
    await page.getByRole('button', { name: 'Create a tailnet' }).click();
    const create = page.getByRole('dialog', { name: 'Create a tailnet' });
    await create.getByLabel('Name').fill('Not A Name');
    await create.getByText(/Lower-case letters/).waitFor();
    assert.equal(await create.getByRole('button', { name: 'Create the tailnet' }).isDisabled(), true);
    await create.getByLabel('Name').fill('staging');
    await create.getByRole('button', { name: 'Create the tailnet' }).click();
    await showPresence(watched);
    await page.waitForURL(/tailnet=staging/);
    await page.getByText('No device yet').waitFor();
    assert.ok((await list('tailnets')).some(({ name }) => name === 'staging'));
    await checkPage(watched);
    await screenshot(watched, 'network-empty');

    await page.getByRole('tab', { name: 'Users' }).click();
    await page.getByRole('button', { name: 'Add a user' }).click();
    const user = page.getByRole('dialog', { name: 'Add a user to staging' });
    await user.getByLabel('Login').fill('alice@example.com');
    await user.getByRole('button', { name: 'Add the user' }).click();
    await page.getByRole('table', { name: 'Users' }).getByText('alice@example.com').first().waitFor();
    assert.deepEqual(
      (await list('tailnets/staging/users')).map(({ login }) => login),
      ['alice@example.com'],
    );

    await page.getByRole('tab', { name: 'Keys' }).click();
    await page.getByRole('button', { name: 'Make a key' }).click();
    const make = page.getByRole('dialog', { name: 'Make a key for staging' });
    await make.getByLabel('What for').fill('build servers');
    await make.getByLabel(/^Tags/).fill('build 1bad');
    await make.getByText(/is no tag/).waitFor();
    assert.equal(await make.getByRole('button', { name: 'Make the key' }).isDisabled(), true);
    await make.getByLabel(/^Tags/).fill('build');
    await make.getByText('Reusable').click();
    await make.getByRole('button', { name: 'Make the key' }).click();
    const once = page.getByRole('dialog', { name: 'The key is made' });
    const secret = await once.locator('pre code').first().innerText();
    await page.keyboard.press('Escape');
    await once.getByText(/tailscale up --login-server/).waitFor();
    await checkPage(watched);
    await once.getByRole('button', { name: 'I have kept it' }).click();
    const keys = await list('tailnets/staging/keys');
    assert.deepEqual(
      keys.map(({ description, tags, reusable }) => [description, tags, reusable]),
      [['build servers', ['tag:build'], true]],
    );
    const table = page.getByRole('table', { name: 'Auth keys' });
    await table.getByText('usable', { exact: true }).waitFor();
    assert.ok(!(await page.content()).includes(secret));
    assert.ok(!JSON.stringify(await list('audit')).includes(secret));
    await screenshot(watched, 'network-keys');
    await table.getByRole('button', { name: 'Revoke build servers' }).click();
    await page.getByRole('button', { name: 'Revoke the key' }).click();
    await table.getByText('revoked').waitFor();
    assert.notEqual((await list('tailnets/staging/keys'))[0]?.['revoked_at'], null);

    await page.getByRole('tab', { name: 'Settings' }).click();
    await page.getByLabel(/Days until/).fill('9999');
    await page.getByText('0 (never) to 3650 days.').waitFor();
    await page.getByLabel(/Days until/).fill('30');
    await page.getByText('A new device waits for an admin').click();
    await page.getByRole('button', { name: 'Save the settings' }).click();
    await waitUntil(async () =>
      (await list('tailnets')).some(
        ({ name, key_expiry_days: days, device_approval: approval }) =>
          name === 'staging' && days === 30 && approval === true,
      ),
    );
    await checkPage(watched);
    await page.getByRole('button', { name: 'Delete staging' }).click();
    const remove = page.getByRole('dialog', { name: 'Delete staging?' });
    await remove.getByLabel(/Type staging/).fill('stagin');
    assert.equal(await remove.getByRole('button', { name: 'Delete the tailnet' }).isDisabled(), true);
    await remove.getByLabel(/Type staging/).fill('staging');
    await remove.getByRole('button', { name: 'Delete the tailnet' }).click();
    await remove.waitFor({ state: 'detached' });
    assert.ok(!(await list('tailnets')).some(({ name }) => name === 'staging'));
    assert.deepEqual(watched.faults, []);
  });

  test('the policy: faults with line and column, a failing test holds the save, explain asks the draft, the diff comes before the save', async (t) => {
    const { scene, watched, list } = await open(t);
    const { page } = watched;
    await givePasskey(watched, scene);
    await scene.asOperator('POST', '/api/v1/tailnets/default/users', { login: 'alice@example.com' });
    await page.goto(`${scene.url}/network?tailnet=default&tab=policy`);
    const editor = page.getByRole('textbox', { name: 'Network policy' });
    await editor.waitFor();
    const write = async (text: string): Promise<void> => {
      await editor.click();
      await page.keyboard.press('ControlOrMeta+a');
      await page.keyboard.press('Delete');
      await page.keyboard.insertText(text);
    };
    await write('{\n  "grants": [{ "src": ["nobody"], "dst": ["*"], "ip": ["*"] }]\n}');
    await page.getByRole('button', { name: /line 2, column/ }).waitFor();
    assert.equal(await page.getByRole('button', { name: 'Review and save' }).isDisabled(), true);
    await checkPage(watched);
    await screenshot(watched, 'network-policy-problems');

    const rules =
      '"tagOwners": { "tag:server": [] },\n  "grants": [{ "src": ["alice@example.com"], "dst": ["tag:server"], "ip": ["tcp:443"] }],\n  ';
    await write(`{\n  ${rules}"tests": [{ "src": "alice@example.com", "accept": ["tag:server:22"] }]\n}`);
    await page
      .getByText(/a test does not hold: alice@example.com to tag:server:22/)
      .first()
      .waitFor();
    assert.equal(await page.getByRole('button', { name: 'Review and save' }).isDisabled(), true);

    await write(`{\n  ${rules}"tests": [{ "src": "alice@example.com", "accept": ["tag:server:443"] }]\n}`);
    await page.getByText('No errors, and every test holds.').waitFor();
    await page.getByRole('combobox', { name: 'May' }).fill('alice@example.com');
    await page.keyboard.press('Enter');
    await page.getByLabel('reach', { exact: true }).fill('tag:server:22');
    await page.getByRole('button', { name: 'Explain' }).click();
    await page.getByText(/may not reach tag:server/).waitFor();
    await page.getByLabel('reach', { exact: true }).fill('tag:server:443');
    await page.getByRole('button', { name: 'Explain' }).click();
    await page.getByText(/grants\[0\] \(line \d+\) allows it/).waitFor();
    await checkPage(watched);
    await screenshot(watched, 'network-policy');

    await page.getByRole('tab', { name: 'Map' }).click();
    await page
      .getByRole('dialog', { name: 'Leave the draft?' })
      .getByRole('button', { name: 'Cancel' })
      .click();
    await page.getByRole('button', { name: 'Review and save' }).click();
    const save = page.getByRole('dialog', { name: 'Save the policy of default' });
    await save.getByRole('textbox', { name: 'Changes of the policy' }).waitFor();
    await save.getByRole('button', { name: 'Save and put in force' }).click();
    await showPresence(watched);
    await save.waitFor({ state: 'detached' });
    const saved = (await list('tailnets')).find(({ name }) => name === 'default');
    assert.match(String(saved?.['policy']), /tcp:443/);
    assert.deepEqual(watched.faults, []);
  });

  test('a device joins with the line of the page; approved, renamed, tagged, expired and removed there, it is so at the API', async (t) => {
    const { scene, watched, list } = await open(t);
    const { page } = watched;
    await givePasskey(watched, scene);
    await scene.asOperator('POST', '/api/v1/tailnets', { name: 'team' });
    await scene.asOperator('POST', '/api/v1/tailnets/team/users', {
      login: 'alice@example.com',
      role: 'owner',
    });
    await page.goto(`${scene.url}/network?tailnet=team`);
    await page.getByRole('button', { name: 'Add the first device' }).click();
    const add = page.getByRole('dialog', { name: 'Add a device to team' });
    await waitUntil(
      async () =>
        (await add.getByRole('combobox', { name: 'Whose device' }).inputValue()) === 'alice@example.com',
    );
    await add.getByRole('button', { name: 'Show the line' }).click();
    await showPresence(watched);
    const dialog = page.getByRole('dialog', { name: 'Type this on the device' });
    const line = await dialog.locator('pre code').innerText();
    await dialog.getByRole('img', { name: 'QR code of the line' }).waitFor();
    await checkPage(watched);
    await screenshot(watched, 'network-join');
    const { server = '', key = '' } =
      /--login-server (?<server>\S+) --auth-key (?<key>\S+)$/.exec(line)?.groups ?? {};

    const stateDir = await mkdtemp(join(tmpdir(), 'postern-page-node-'));
    const node = new TailnetNode({ stateDir, hostname: 'laptop', controlUrl: server, authKey: key });
    t.after(async () => {
      await node.close();
      await rm(stateDir, { recursive: true, force: true });
    });
    await node.up({ signal: AbortSignal.timeout(15_000) });
    await dialog.getByText(/laptop has joined as 100\./).waitFor();
    await dialog.getByRole('button', { name: 'Done' }).click();
    assert.ok(!(await page.content()).includes(key));
    const [joined = {}] = await list('tailnets/team/devices');
    assert.deepEqual([joined['name'], joined['user']], ['laptop', 'alice@example.com']);

    const explained = await scene.asOperator('POST', '/api/v1/tailnets/team/policy/explain', {
      source: 'laptop',
      destination: 'alice@example.com',
      port: 22,
    });
    assert.match(String(Object(explained.json).text), /^laptop may reach alice@example\.com on port 22: /);

    await page.getByRole('table', { name: 'Devices' }).getByRole('link', { name: 'laptop' }).click();
    const drawer = page.getByRole('dialog', { name: 'laptop' });
    await drawer.getByText('online', { exact: true }).waitFor();
    await checkPage(watched);
    await screenshot(watched, 'network-device');
    await drawer.getByLabel('Name', { exact: true }).fill('Not!');
    await drawer.getByText(/Lower-case letters/).waitFor();
    assert.equal(await drawer.getByRole('button', { name: 'Rename' }).isDisabled(), true);
    await drawer.getByLabel('Name', { exact: true }).fill('workbench');
    await drawer.getByRole('button', { name: 'Rename' }).click();
    const renamed = page.getByRole('dialog', { name: 'workbench' });
    await renamed.getByLabel('Tags').fill('tag:bench');
    await renamed.getByRole('button', { name: 'Save the tags' }).click();
    await waitUntil(async () => (await list('tailnets/team/devices'))[0]?.['user'] === null);
    const [tagged = {}] = await list('tailnets/team/devices');
    assert.deepEqual([tagged['name'], tagged['tags']], ['workbench', ['tag:bench']]);
    await renamed.getByRole('button', { name: 'Expire its key now' }).click();
    await renamed.getByText('key expired').waitFor();
    const [expired = {}] = await list('tailnets/team/devices');
    assert.ok(Date.parse(String(expired['key_expires_at'])) < Date.now());
    await renamed.getByRole('button', { name: 'Remove …' }).click();
    await page
      .getByRole('dialog', { name: 'Remove workbench?' })
      .getByRole('button', { name: 'Remove the device' })
      .click();
    await page.getByText('No device yet').waitFor();
    assert.deepEqual(await list('tailnets/team/devices'), []);
    const actions = (await list('audit?action=tailnet.device.')).map(({ action, presence }) => [
      action,
      presence,
    ]);
    assert.deepEqual(actions, [
      ['tailnet.device.remove', 'passkey'],
      ['tailnet.device.change', 'passkey'],
      ['tailnet.device.change', 'passkey'],
      ['tailnet.device.change', 'passkey'],
    ]);
    assert.deepEqual(watched.faults, []);
  });

  test('a device at which somebody signs in waits with its fingerprint; turned away or let in as whose it is', async (t) => {
    const { scene, watched, list } = await open(t);
    const { page } = watched;
    await givePasskey(watched, scene);
    await scene.asOperator('POST', '/api/v1/tailnets', { name: 'team' });
    await scene.asOperator('POST', '/api/v1/tailnets/team/users', { login: 'bob@example.com' });
    const { login_server: server } = Object((await scene.asOperator('GET', '/api/v1/tailnets')).json);
    const stateDir = await mkdtemp(join(tmpdir(), 'postern-page-node-'));
    const nodes = ['thief', 'phone'].map(
      (hostname) =>
        new TailnetNode({ stateDir: join(stateDir, hostname), hostname, controlUrl: String(server) }),
    );
    const stop = new AbortController();
    const ups = nodes.map((node) => node.up({ signal: stop.signal }).catch(() => null));
    t.after(async () => {
      stop.abort();
      await Promise.all([...ups, ...nodes.map((node) => node.close())]);
      await rm(stateDir, { recursive: true, force: true });
    });
    await page.goto(`${scene.url}/network?tailnet=team`);
    await page.getByText('2 devices wait to be let in').waitFor();
    const waiting = await list('waiting-devices');
    for (const { fingerprint } of waiting) await page.getByText(String(fingerprint)).waitFor();
    await checkPage(watched);
    await screenshot(watched, 'network-waiting');
    await page.getByRole('button', { name: 'Turn away thief' }).click();
    await showPresence(watched);
    await page.getByText('A device waits to be let in').waitFor();
    await page.getByRole('button', { name: 'Let in phone' }).click();
    const admit = page.getByRole('dialog', { name: 'Let phone in?' });
    await admit.getByRole('combobox', { name: 'As the device of' }).fill('bob@example.com');
    await page.getByRole('option', { name: 'bob@example.com' }).click();
    await admit.getByRole('button', { name: 'Let the device in' }).click();
    await admit.waitFor({ state: 'detached' });
    const devices = await list('tailnets/team/devices');
    assert.deepEqual(
      devices.map(({ name, user }) => [name, user]),
      [['phone', 'bob@example.com']],
    );
    assert.deepEqual(await list('waiting-devices'), []);
    assert.deepEqual(watched.faults, []);
  });
});
