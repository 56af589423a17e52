/** The page of devices in Chromium: a code that any reader takes, a configuration that lets a WireGuard client in, and a removal that cuts it. */
import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { userInfo } from 'node:os';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { systemRandom } from '../../src/base/random.ts';
import { runInProcess } from '../../src/cli/fake-server.ts';
import { X25519PrivateKey } from '../../src/crypto/index.ts';
import { launchChromium, PHONE, waitUntil, type WatchedPage } from './browser.ts';
import {
  breakApi,
  checkPage,
  type ConsoleScene,
  type ConsoleSceneOptions,
  givePasskey,
  openConsole,
  screenshot,
  showPresence,
  startConsoleScene,
} from './console-scene.ts';
import { readQr, readTerminalQr } from './qr-reader.ts';
import { connectWireguard } from './wireguard-client.ts';

const NODE_ON = { POSTERN_NODE: 'true', POSTERN_NODE_UDP_PORT: '0', POSTERN_NODE_ENDPOINT: '127.0.0.1' };
/** Devices read the stream of events, which stays open until somebody ends it. */
const DEVICES_MAY = [{ src: ['*'], app: { 'postern.dev/cap/gateway': [{ role: 'user', models: '**' }] } }];

let browser: Browser;
before(async () => {
  browser = await launchChromium();
});
after(() => browser.close());

interface Bed {
  readonly scene: ConsoleScene;
  readonly watched: WatchedPage;
  readonly devices: () => Promise<readonly Record<string, unknown>[]>;
}

async function open(t: TestContext, options: ConsoleSceneOptions = {}): Promise<Bed> {
  const scene = await startConsoleScene({
    signInAs: 'admin',
    env: NODE_ON,
    grants: DEVICES_MAY,
    ...options,
  });
  t.after(() => scene.stop());
  const watched = await openConsole(browser, scene);
  t.after(() => watched.close());
  return {
    scene,
    watched,
    devices: async () => Object((await scene.asOperator('GET', '/api/v1/devices')).json).items,
  };
}

async function add(scene: ConsoleScene, name: string): Promise<Record<string, string>> {
  const { status, json, text } = await scene.asOperator('POST', '/api/v1/devices', { name });
  assert.equal(status, 201, text);
  return Object(json);
}

/** What a reader of codes sees at a place of the page, as it is painted. */
async function readCode(page: Page, label: RegExp): Promise<string | null> {
  const png = await page.getByRole('img', { name: label }).screenshot();
  const { pixels, width } = await page.evaluate(async (base64) => {
    const image = new Image();
    image.src = `data:image/png;base64,${base64}`;
    await image.decode();
    const canvas = new OffscreenCanvas(image.width, image.height);
    const context = canvas.getContext('2d');
    context?.drawImage(image, 0, 0);
    const data = context?.getImageData(0, 0, image.width, image.height).data ?? [];
    return { pixels: [...data], width: image.width };
  }, png.toString('base64'));
  return readQr(new Uint8ClampedArray(pixels), width);
}

describe('devices', () => {
  test('what is off says how it is turned on', async (t) => {
    const { scene, watched } = await open(t, { env: {} });
    await watched.page.goto(`${scene.url}/devices`);
    await watched.page.getByText('This network is off').waitFor();
    assert.equal(await watched.page.getByRole('button', { name: 'Add a device' }).count(), 0);
    await checkPage(watched);
    await screenshot(watched, 'devices-off');
  });

  test('an admin adds a device in person: the code is the configuration, which lets a client in; removed, it is cut and stays out', async (t) => {
    const { scene, watched, devices } = await open(t);
    const { page } = watched;
    await givePasskey(watched, scene);
    await page.goto(`${scene.url}/devices`);
    await page.getByText('No device yet').waitFor();
    await screenshot(watched, 'devices-empty');
    await page.getByRole('button', { name: 'Add a device' }).click();
    await page.getByLabel('Name').fill('Phone');
    await screenshot(watched, 'devices-add');
    await page.getByRole('button', { name: 'Add the device' }).click();
    await showPresence(watched);

    const dialog = page.getByRole('dialog', { name: 'phone is added' });
    const configuration = `${await dialog.locator('pre code').innerText()}\n`;
    assert.equal(await readCode(page, /QR code/), configuration);
    const [file] = await Promise.all([
      page.waitForEvent('download'),
      dialog.getByRole('button', { name: /Download/ }).click(),
    ]);
    assert.equal(file.suggestedFilename(), 'postern.conf');
    assert.equal(await readFile(await file.path(), 'utf8'), configuration);
    await page.keyboard.press('Escape');
    await page.mouse.click(5, 5);
    await dialog.getByText('Waiting for phone to connect').waitFor();
    await checkPage(watched);
    await screenshot(watched, 'devices-configuration');
    await page.setViewportSize(PHONE);
    await screenshot(watched, 'devices-configuration-phone');
    await page.setViewportSize({ width: 1280, height: 900 });

    const phone = await connectWireguard(configuration);
    t.after(() => phone.close());
    const { status, json } = await phone.get('/api/v1/whoami');
    assert.equal(status, 200);
    const [device = {}] = await devices();
    assert.equal(Object(json).principal, device['principal']);
    assert.equal(Object(Object(json).device).name, 'phone');
    await dialog.getByText('phone is connected').waitFor();
    await dialog.getByRole('button', { name: 'I have kept it' }).click();
    const privateKey = /PrivateKey = (\S+)/.exec(configuration)?.[1] ?? assert.fail();
    assert.ok(!(await page.content()).includes(privateKey));

    const table = page.getByRole('table', { name: 'Devices' });
    await table.getByText('online').waitFor();
    await checkPage(watched);
    await screenshot(watched, 'devices');
    await page.setViewportSize(PHONE);
    await screenshot(watched, 'devices-phone');
    await page.setViewportSize({ width: 1280, height: 900 });
    const held = await phone.hold('/api/v1/events');
    await table.getByRole('button', { name: 'Remove phone' }).click();
    const confirm = page.getByRole('dialog', { name: 'Remove phone?' });
    await confirm.getByText('It is connected now.').waitFor();
    await screenshot(watched, 'devices-remove');
    await confirm.getByRole('button', { name: 'Remove the device' }).click();
    await held.ended;
    await page.getByText('No device yet').waitFor();
    assert.deepEqual(await devices(), []);
    await assert.rejects(phone.get('/api/v1/whoami', 1_500));
    const { json: log } = await scene.asOperator('GET', '/api/v1/audit?action=device.');
    const entries: { action: string; presence: string; actor: string }[] = Object(log).items;
    assert.deepEqual(
      entries.map(({ action, presence, actor }) => [action, presence, actor]),
      [
        ['device.remove', 'passkey', `local:${userInfo().uid}`],
        ['device.add', 'passkey', `local:${userInfo().uid}`],
      ],
    );
    assert.ok(!JSON.stringify(log).includes(privateKey));
    assert.deepEqual(watched.faults, []);
  });

  test('a device with a key of its own gets a configuration without one; what cannot be is said at its field or by the server', async (t) => {
    const { scene, watched, devices } = await open(t);
    const { page } = watched;
    await givePasskey(watched, scene);
    await add(scene, 'taken');
    await page.goto(`${scene.url}/devices`);
    await page.getByRole('button', { name: 'Add a device' }).click();
    const dialog = page.getByRole('dialog', { name: 'Add a device' });
    const submit = dialog.getByRole('button', { name: 'Add the device' });
    await dialog.getByLabel('Name').fill('<b>');
    await dialog.getByText('Letters, digits and hyphens within').waitFor();
    assert.equal(await submit.isDisabled(), true);
    await dialog.getByLabel('Name').fill('taken');
    await submit.click();
    await showPresence(watched);
    await dialog.getByText(/A device named "taken" is here already/).waitFor();
    watched.faults.splice(0);
    await dialog.getByRole('button', { name: /^Key|Make one/ }).click();
    await page.getByRole('option', { name: /It has its own/ }).click();
    await dialog.getByLabel('Name').fill('ci');
    await dialog.getByLabel('Public key').fill('short');
    await dialog.getByText(/The 44 characters/).waitFor();
    assert.equal(await submit.isDisabled(), true);
    await checkPage(watched);
    await dialog.getByLabel('Public key').fill(Buffer.alloc(32).toString('base64'));
    await submit.click();
    await dialog.getByText(/cannot be a device's/).waitFor();
    watched.faults.splice(0);

    const key = X25519PrivateKey.generate(systemRandom);
    await dialog.getByLabel('Public key').fill(key.publicKey.bytes.toString('base64'));
    await submit.click();
    const added = page.getByRole('dialog', { name: 'ci is added' });
    const configuration = await added.locator('pre code').innerText();
    assert.match(configuration, /^# PrivateKey = /m);
    assert.equal(await added.getByRole('img').count(), 0);
    const ci = await connectWireguard(configuration, key.reveal().toString('base64'));
    t.after(() => ci.close());
    assert.equal((await ci.get('/api/v1/whoami')).status, 200);
    await added.getByRole('button', { name: 'Done' }).click();

    await page.getByRole('table', { name: 'Devices' }).getByRole('link', { name: 'ci' }).click();
    const drawer = page.getByRole('dialog', { name: 'ci' });
    const [, device = {}] = await devices();
    await drawer.getByText(String(device['principal'])).first().waitFor();
    assert.match(page.url(), /device=dev_/);
    await checkPage(watched);
    await screenshot(watched, 'devices-one');
    await drawer.getByRole('link', { name: 'Its requests' }).click();
    await page.getByRole('heading', { name: 'Requests', level: 1 }).waitFor();
    assert.equal(new URL(page.url()).searchParams.get('principal'), device['principal']);
  });

  test('nobody shows up in person: nothing is added', async (t) => {
    const { scene, watched, devices } = await open(t);
    const { page } = watched;
    await givePasskey(watched, scene);
    await page.goto(`${scene.url}/devices`);
    await page.getByRole('button', { name: 'Add a device' }).click();
    await page.getByLabel('Name').fill('phone');
    await page.getByRole('button', { name: 'Add the device' }).click();
    const asks = page.getByRole('dialog', { name: 'This needs you in person' });
    await asks.getByRole('button', { name: 'Close' }).click();
    await page.getByText('Nothing was done: this needs you in person.').waitFor();
    assert.deepEqual(await devices(), []);
  });

  test('an auditor looks and changes nothing; who is neither is told what it takes', async (t) => {
    const { scene, watched } = await open(t, { signInAs: 'auditor' });
    const { page } = watched;
    const { id } = await add(scene, 'phone');
    await page.goto(`${scene.url}/devices?device=${id}`);
    const drawer = page.getByRole('dialog', { name: 'phone' });
    await drawer.getByText('not since the server started').waitFor();
    assert.equal(await page.getByRole('button', { name: /^Add|^Remove/ }).count(), 0);
    await checkPage(watched);
    for (const [method, path] of [
      ['POST', '/api/v1/devices'],
      ['DELETE', `/api/v1/devices/${id}`],
    ] as const) {
      const answer = await scene.asViewer(method, path, method === 'POST' ? { name: 'x' } : undefined);
      assert.equal(Object(answer.json).code, 'role_missing', answer.text);
    }

    const other = await open(t, { signInAs: 'user' });
    assert.equal(await other.watched.page.getByRole('link', { name: 'Devices' }).count(), 0);
    await other.watched.page.goto(`${other.scene.url}/devices`);
    await other.watched.page.getByText('For auditors and admins').waitFor();
  });

  test('as many as there may be are shown a page at a time, found by typing, and restored by the address', async (t) => {
    const { scene, watched } = await open(t, { signInAs: 'auditor' });
    const { page } = watched;
    const items = Array.from({ length: 4_093 }, (_, index) => ({
      id: `dev_${index}`,
      name: `device-${index}`,
      public_key: 'A'.repeat(43),
      principal: `postern:device:${index}`,
      addresses: [`10.0.${index >> 8}.${index & 255}`],
      created_at: '2026-11-23T12:00:00.000Z',
      created_by: '<img src=x onerror=alert(1)>',
      last_handshake_at: null,
      online: index % 2 === 0,
      endpoint: null,
      received_bytes: 0,
      sent_bytes: 0,
    }));
    await page.route(/\/api\/v1\/devices$/, (route) =>
      route.fulfill({ json: { items, next_cursor: null, enabled: true } }),
    );
    await page.goto(`${scene.url}/devices?state=online`);
    const rows = page.getByRole('table', { name: 'Devices' }).locator('tbody tr');
    await page.getByText('2,047 devices').waitFor();
    assert.equal(await rows.count(), 50);
    await page.getByRole('button', { name: 'Next page' }).click();
    await rows.getByRole('link', { name: 'device-100', exact: true }).waitFor();
    await page.reload();
    await rows.getByRole('link', { name: 'device-100', exact: true }).waitFor();
    await page.getByLabel('Find').fill('device-4000');
    await waitUntil(async () => (await rows.count()) === 1);
    assert.equal(await page.locator('main img').count(), 0);
    await page.getByLabel('Find').fill('nothing');
    await page.getByText('No device fits').waitFor();
    await checkPage(watched);
  });

  test('a fault of the server and no connection are told, and can be tried again', async (t) => {
    const { scene, watched } = await open(t, { signInAs: 'auditor' });
    for (const how of ['fault', 'offline'] as const) {
      const mend = await breakApi(watched, /\/api\/v1\/devices/, how);
      await watched.page.goto(`${scene.url}/devices`);
      await watched.page.getByText('Devices could not be loaded').waitFor();
      if (how === 'fault') await checkPage(watched, { isBroken: true });
      await mend();
      await watched.page.getByRole('button', { name: 'Try again' }).click();
      await watched.page.getByText('No device yet').waitFor();
    }
  });

  test('the code that `postern device add` draws in a terminal is the configuration, too', async (t) => {
    const admins = { src: ['service:admin'], app: { 'postern.dev/cap/gateway': [{ role: 'admin' }] } };
    const { scene } = await open(t, { grants: [...DEVICES_MAY, admins] });
    const stderr = { text: '', isTTY: true, write: (text: string) => (stderr.text += text) };
    const token = await scene.mint('service:admin', ['admin']);
    const run = await runInProcess(['device', 'add', 'laptop', '--url', scene.url], {
      env: { POSTERN_TOKEN: token },
      stderr,
    });
    assert.equal(run.exitCode, 0, stderr.text);
    const rows = stderr.text.split('\n').filter((line) => /[█▀▄]{3}/.test(line));
    // oxlint-disable-next-line no-control-regex -- colours of a terminal (ECMA-48)
    const plain = rows.map((row) => row.replaceAll(/\u001b\[[\d;]*m/g, ''));
    assert.ok(rows.every((row) => row.startsWith('\u001b[97m\u001b[40m')));
    assert.ok(plain.every((row) => row.length <= 80));
    assert.equal(readTerminalQr(plain), run.stdout);
    const phone = await connectWireguard(run.stdout);
    t.after(() => phone.close());
    assert.equal((await phone.get('/api/v1/whoami')).status, 200);
  });
});
