/** Presence in Chromium (DESIGN section 5; Web Authentication Level 3): passkeys by its virtual authenticator, codes, and `postern login`. */
import assert from 'node:assert/strict';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { plugIn } from './authenticator.ts';
import { launchChromium, openWatchedPage, waitUntil, type WatchedPage } from './browser.ts';
import { startCommand } from './command.ts';
import { startBrowserScene, type BrowserScene } from './scene.ts';

describe('presence', () => {
  let browser: Browser;
  let scene: BrowserScene;
  let watched: WatchedPage;
  let authenticator: string;
  before(async () => {
    browser = await launchChromium();
  });
  after(() => browser.close());
  beforeEach(async () => {
    scene = await startBrowserScene();
    watched = await openWatchedPage(browser, scene.url);
    authenticator = await plugIn(watched);
  });
  afterEach(async () => {
    await watched.close();
    await scene.stop();
  });

  const isPresent = () => watched.page.locator('#state', { hasText: 'You are present until' }).waitFor();
  const isAbsent = () => watched.page.locator('#state', { hasText: 'You are not present' }).waitFor();
  const message = (text: RegExp) => watched.page.locator('#message', { hasText: text }).waitFor();
  const claim = async (): Promise<void> => {
    await watched.page.goto(scene.claimUrl);
    await watched.page.locator('#claim').click();
    await watched.page.locator('#done').waitFor();
  };
  const addPasskey = async (name: string): Promise<void> => {
    await watched.page.locator('#passkey-name').fill(name);
    await watched.page.getByRole('button', { name: 'Add a passkey' }).click();
    await message(/The passkey is added/);
  };

  test('a passkey is added after the claim, shows presence again when it has expired, and is removed', async () => {
    const { page } = watched;
    await claim();
    await addPasskey('work laptop');
    await page.goto(`${scene.url}/presence`);
    await isPresent();
    assert.match(await page.locator('#passkeys').innerText(), /work laptop since/);

    scene.passMinutes(11);
    await page.getByRole('button', { name: 'Add a passkey' }).click();
    await message(/Your presence has ended: show it again/);
    await isAbsent();
    await page.getByRole('button', { name: 'Use a passkey' }).click();
    await isPresent();

    await page.getByRole('button', { name: 'Remove work laptop' }).click();
    await message(/is removed/);
    assert.match(await page.locator('#passkeys').innerText(), /None yet/);
    const { credentials } = await watched.devtools.send('WebAuthn.getCredentials', {
      authenticatorId: authenticator,
    });
    assert.equal(credentials[0]?.rpId, 'localhost');
  });

  test('a passkey that the server forgot, and a cancelled one, are refused in plain words', async () => {
    const { page } = watched;
    await claim();
    await addPasskey('gone');
    await page.goto(`${scene.url}/presence`);
    await page.getByRole('button', { name: 'End my presence everywhere' }).click();
    await isAbsent();
    await watched.devtools.send('WebAuthn.setUserVerified', {
      authenticatorId: authenticator,
      isUserVerified: false,
    });
    await watched.devtools.send('WebAuthn.clearCredentials', { authenticatorId: authenticator });
    await page.getByRole('button', { name: 'Use a passkey' }).click();
    await message(/No passkey was used: it was cancelled, or took too long/);
    await isAbsent();
  });

  test('the same device is not added twice', async () => {
    await claim();
    await addPasskey('one');
    await watched.page.goto(`${scene.url}/presence`);
    await watched.page.getByRole('button', { name: 'Add a passkey' }).click();
    await message(/This device has a passkey here already/);
  });

  test('the end of presence holds everywhere at once', async () => {
    await claim();
    await watched.page.goto(`${scene.url}/presence`);
    await isPresent();
    const other = await watched.context.newPage();
    await other.goto(`${scene.url}/presence`);
    await other.locator('#state', { hasText: 'You are present until' }).waitFor();
    await watched.page.getByRole('button', { name: 'End my presence everywhere' }).click();
    await isAbsent();
    await other.getByRole('button', { name: 'Add a passkey' }).click();
    await other.locator('#message', { hasText: 'Your presence has ended' }).waitFor();
  });

  test('without a passkey the code that the server prints shows presence, once', async () => {
    const { page } = watched;
    await page.goto(`${scene.url}/presence`);
    await isAbsent();
    assert.equal(await page.getByRole('button', { name: 'Use a passkey' }).isVisible(), false);
    await page.getByRole('button', { name: 'Print a code' }).click();
    await message(/The server printed a code on its terminal/);
    const link = /http:\/\/localhost:\d+\/presence#\w+/.exec(scene.announced.at(-1) ?? '')?.[0] ?? '';
    await page.goto('about:blank');
    await page.goto(link);
    assert.equal(page.url(), `${scene.url}/presence`);
    await isAbsent();
    await page.getByRole('button', { name: 'Use the code' }).click();
    await isPresent();
    assert.deepEqual(watched.faults, []);

    const second = await openWatchedPage(browser, scene.url);
    await second.page.goto(link);
    await second.page.locator('#use-code').click();
    await second.page.locator('#message.error', { hasText: 'The code is wrong, used' }).waitFor();
    await second.close();
  });

  test('`postern login` gets presence when a passkey and a click approve what shows the same mark', async () => {
    const { page } = watched;
    await claim();
    await addPasskey('work laptop');
    await page.goto(`${scene.url}/presence`);
    await page.getByRole('button', { name: 'End my presence everywhere' }).click();
    await isAbsent();

    const refused = startCommand(scene.stateDir, ['tokens', 'create', 'ci', '--json']);
    assert.equal(await refused.ended(), 5, refused.output());
    const login = startCommand(scene.stateDir, ['login', '--json']);
    const [, url = '', mark = ''] = await login.printed(/Open {2}(\S+)\s+It shows (\w+)/);
    await page.goto(url);
    await page.locator('#request-code', { hasText: mark }).waitFor();
    assert.equal(await page.locator('#request-client').innerText(), 'postern login');
    await page.locator('#request-wait').waitFor();
    assert.equal(await page.getByRole('button', { name: 'Approve' }).isVisible(), false);
    await page.getByRole('button', { name: 'Use a passkey' }).click();
    await page.getByRole('button', { name: 'Approve' }).click();
    await page.locator('#request-over', { hasText: 'goes on by itself' }).waitFor();
    assert.equal(await login.ended(), 0, login.output());
    assert.match(login.output(), /"presence_until": ?"20/);

    const create = startCommand(scene.stateDir, ['tokens', 'create', 'ci', '--json']);
    assert.equal(await create.ended(), 0, create.output());
    assert.match(create.output(), /pst_/);
    assert.deepEqual(watched.faults, []);
  });

  test('`postern login` goes on when the printed code is used in a browser, and the page says so', async () => {
    const { page } = watched;
    const login = startCommand(scene.stateDir, ['login', '--json']);
    const [, url = ''] = await login.printed(/Open {2}(\S+)/);
    await waitUntil(() => scene.announced.length > 0);
    const code = /presence#(\w+)/.exec(scene.announced[0] ?? '')?.[1] ?? '';
    await page.goto(url);
    await page.locator('#code').fill(code);
    await page.locator('#code').press('Enter');
    await message(/What asked for it goes on by itself/);
    await page.locator('#request-over:visible').waitFor();
    assert.equal(await page.locator('#request-open').isVisible(), false);
    assert.equal(await login.ended(), 0, login.output());
    assert.deepEqual(watched.faults, []);
  });

  test('a request that is over, or of nobody, says so', async () => {
    await watched.page.goto(`${scene.url}/presence?request=prs_unknown`);
    await watched.page.locator('#request-over', { hasText: 'ask again' }).waitFor();
    assert.equal(await watched.page.locator('#request-open').isVisible(), false);
  });

  test('opened by address the page does nothing but lead to the name', async () => {
    await watched.page.goto(`${scene.url.replace('localhost', '127.0.0.1')}/presence?request=prs_x#secret`);
    const link = watched.page.getByRole('link', { name: 'Go on at localhost' });
    assert.equal(await link.getAttribute('href'), `${scene.url}/presence?request=prs_x#secret`);
    assert.ok(!watched.page.url().includes('secret'));
  });
});
