/** Approvals in Chromium (issue 3, "Approvals"; DESIGN section 5): a link only shows, a person in person decides. */
import assert from 'node:assert/strict';
import { after, afterEach, before, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { addPasskeyAndLeave, startAskingScene, type AskingScene } from './asking-scene.ts';
import { plugIn } from './authenticator.ts';
import { launchChromium, openWatchedPage, waitUntil, type WatchedPage } from './browser.ts';
import { findings, overflow } from './looks.ts';

const SECRET_WORD = 'rm -rf ./build';
const ARGUMENTS = `{"command":"${'true && '.repeat(30)}${SECRET_WORD}","timeout":5}`;
const PHONE_360 = { width: 360, height: 740 } as const;
/** What Chromium itself writes on the console about an answer of 4xx. */
const REFUSED = /^console: Failed to load resource: the server responded with a status of 4\d\d/;
const PRESSES_MAX = 60;

let browser: Browser;
before(async () => {
  browser = await launchChromium();
});
after(() => browser.close());

describe('approvals', () => {
  let scene: AskingScene;
  let watched: WatchedPage;
  const begin = async (entry: object = {}): Promise<void> => {
    scene = await startAskingScene(entry);
    watched = await openWatchedPage(browser, scene.url);
    await plugIn(watched);
    await addPasskeyAndLeave(watched, scene);
  };
  afterEach(async () => {
    await watched.close();
    await scene.stop();
  });

  const message = (text: RegExp | string) => watched.page.locator('#message', { hasText: text }).waitFor();
  const button = (name: RegExp | string) => watched.page.getByRole('button', { name });
  const approveButton = () => watched.page.getByRole('button', { name: 'Approve', exact: true });
  const faults = (): string[] => watched.faults.filter((fault) => !REFUSED.test(fault));
  const openLink = async (): Promise<string> => {
    await scene.turn();
    const id = await scene.newestId();
    await watched.page.goto(`${scene.url}/approvals/${id}`);
    await watched.page.locator('#linked .approval').waitFor();
    return id;
  };
  const look = async (): Promise<void> => {
    await button(/^Look and decide/).click();
    await watched.page.locator('.open .call').first().waitFor();
  };

  test('a link only shows, and what the call holds only to a person; then a passkey and a click let the held call go on', async () => {
    await begin();
    const { page } = watched;
    scene.arguments = ARGUMENTS;
    const asked: string[] = [];
    page.on('request', (request) => asked.push(`${request.method()} ${new URL(request.url()).pathname}`));
    const answer = scene.turn({ stream: true });
    await waitUntil(async () => (await scene.newestId()) !== '');
    const id = await scene.newestId();
    for (let time = 0; time < 2; time += 1) {
      await page.goto(`${scene.url}/approvals/${id}?verdict=approve#approve`);
      await page.locator('#linked .approval').waitFor();
    }
    assert.deepEqual(
      asked.filter((line) => !line.startsWith('GET ')),
      [],
    );
    assert.ok(!(await page.content()).includes(SECRET_WORD));
    assert.ok(!(await page.content()).includes('tidy up the build folder'));
    assert.match(await page.locator('#linked').innerText(), /asks for the tool Bash/);
    assert.match(await page.locator('#linked').innerText(), /; a stream waits for it/);
    assert.equal(await approveButton().count(), 0);

    await look();
    assert.match(await page.locator('.open .call').innerText(), /"timeout": 5/);
    assert.ok((await page.locator('.open .call').innerText()).includes(SECRET_WORD));
    await approveButton().click();
    await message(/asks for the tool Bash: approved/);
    assert.match(await answer, /"name":"Bash"/);
    assert.deepEqual(faults(), []);
  });

  test('what an approver writes in place of the call is what runs', async () => {
    await begin();
    await openLink();
    await look();
    await watched.page.getByText('Change what runs').click();
    await watched.page.getByLabel('What runs in its place').fill('{"command":"ls build"');
    await approveButton().click();
    await message(/must be JSON/);
    await watched.page.getByLabel('What runs in its place').fill('{"command":"ls build"}');
    await approveButton().click();
    await message(/approved/);
    const answer = await scene.turn();
    assert.match(answer, /ls build/);
    assert.doesNotMatch(answer, /ls -la/);
    assert.deepEqual(faults(), []);
  });

  test('once is once; for a time it passes as often as it comes; a session is offered where there is one', async () => {
    await begin({ max_duration: '2h' });
    await openLink();
    await look();
    const scope = watched.page.getByLabel('If approved, it holds');
    const offered = await scope.locator('option').allInnerTexts();
    assert.deepEqual(
      offered.map((text) => text.split(',')[0]),
      ['once', 'for 15 minutes', 'for 1 hour', 'for 2 hours'],
    );
    await scope.selectOption({ label: offered[1] ?? '' });
    await approveButton().click();
    await message(/approved until/);
    for (let time = 0; time < 2; time += 1) assert.match(await scene.turn(), /"name":"Bash"/);
    scene.passMinutes(16);
    assert.match(await scene.turn({ headers: { 'x-postern-session': 's1' } }), /waits for approval apr_/);
    await watched.page.goto(`${scene.url}/approvals/${await scene.newestId()}`);
    await look();
    await scope.selectOption('session');
    await approveButton().click();
    await message(/approved/);
    assert.match(await scene.turn({ headers: { 'x-postern-session': 's1' } }), /"name":"Bash"/);
    assert.match(await scene.turn({ headers: { 'x-postern-session': 's2' } }), /waits for approval apr_/);
    assert.deepEqual(faults(), []);
  });

  test('the reason of a denial is told to who asked', async () => {
    await begin();
    const answer = scene.turn({ stream: true });
    await waitUntil(async () => (await scene.newestId()) !== '');
    await watched.page.goto(`${scene.url}/approvals/${await scene.newestId()}`);
    await look();
    await watched.page.getByLabel('Reason').fill('not on a Friday');
    await button('Deny').click();
    await message(/denied \(not on a Friday\)/);
    assert.match(await answer, /not on a Friday/);
    assert.deepEqual(faults(), []);
  });

  test('a quorum is shown as it grows, also when others approve meanwhile', async () => {
    await begin({ quorum: 2 });
    const { page } = watched;
    const id = await openLink();
    assert.match(await page.locator('#linked dl').innerText(), /Needs\s+2 people who approve/);
    await look();
    await approveButton().click();
    await message(/your approval counts, 1 of 2/);
    await page.locator('#linked', { hasText: 'You have approved it; 1 more must.' }).waitFor();
    assert.equal(await approveButton().count(), 0);
    await page.locator('#linked dt', { hasText: 'Approved by' }).waitFor();
    await scene.decideElsewhere(id, { verdict: 'approve' });
    await page.locator('#linked dd', { hasText: /^approved/ }).waitFor();
    assert.equal(await page.locator('#linked dt', { hasText: 'Approved by' }).count(), 2);
    assert.equal(await approveButton().count(), 0);
    assert.deepEqual(faults(), []);
  });

  test('too late is said in words, after the person was asked for again', async () => {
    await begin();
    await openLink();
    await look();
    scene.passMinutes(25 * 60);
    await approveButton().click();
    await message(/expired before anybody decided; the caller must ask again/);
    assert.deepEqual(faults(), []);
  });

  test('nobody is offered what they asked themselves; trying it is refused in words; taking it back is not', async () => {
    await begin();
    const { page } = watched;
    await scene.turn({ isOwn: true });
    const id = await scene.newestId();
    await page.goto(`${scene.url}/approvals/${id}`);
    await page
      .locator('#linked', { hasText: 'You asked for this yourself, so somebody else decides.' })
      .waitFor();
    assert.equal(await button(/Approve|Deny|Look/).count(), 0);
    // Present, by the passkey, so that nothing but the rule refuses.
    await page.goto(`${scene.url}/presence`);
    await button('Use a passkey').click();
    await page.locator('#done').waitFor();
    const refused = await page.evaluate(async (path) => {
      const answer = await fetch(path, {
        method: 'POST',
        headers: {
          'content-type': 'application/json',
          'x-postern-presence-proof': localStorage.getItem('postern_presence_proof') ?? '',
        },
        body: '{"verdict":"approve"}',
      });
      return answer.text();
    }, `/api/v1/approvals/${id}/decision`);
    assert.match(refused, /"approval_self"/);
    assert.match(refused, /nobody decides what they asked themselves/);
    await page.goto(scene.url);
    await button(/^Take it back/).click();
    await page.locator('#asked', { hasText: 'taken back' }).waitFor();
    assert.deepEqual(faults(), []);
  });

  test('the first page shows what waits as it comes, decides it in place, and tells when somebody else did', async () => {
    await begin();
    const { page } = watched;
    await page.goto(scene.url);
    await page.locator('#live.live').waitFor();
    assert.equal(await page.locator('#waiting-part').isVisible(), false);
    await scene.turn();
    await page.locator('#waiting .approval').waitFor();
    await look();
    await page.getByLabel('Reason').fill('half a');
    scene.arguments = '{"command":"make clean"}';
    await scene.turn();
    await page.locator('#waiting .approval').nth(1).waitFor();
    assert.equal(await page.getByLabel('Reason').inputValue(), 'half a');
    await page.keyboard.type(' sentence');
    assert.equal(await page.getByLabel('Reason').inputValue(), 'half a sentence');
    await approveButton().click();
    await message(/approved/);
    await look();
    await scene.decideElsewhere(await scene.newestId(), { verdict: 'deny', reason: 'not now' });
    await message(/denied \(not now\), by /);
    await page.locator('#waiting-part').waitFor({ state: 'hidden' });
    assert.deepEqual(faults(), []);
  });

  test('without a passkey the way to presence is said, and nothing is shown or decided', async () => {
    await begin();
    await openLink();
    const other = await openWatchedPage(browser, scene.url);
    await other.page.goto(watched.page.url().replace('localhost', '127.0.0.1'));
    await other.page.getByRole('button', { name: /^Look and decide/ }).click();
    await other.page.getByRole('link', { name: 'Show presence' }).waitFor();
    await other.page.getByRole('button', { name: /^Deny/ }).click();
    await other.page.locator('#message.error', { hasText: /presence/i }).waitFor();
    assert.equal(await other.page.locator('.call').count(), 0);
    await other.close();
    assert.equal(await button(/^Look and decide/).count(), 1);
  });

  test('markup stays text, turned and hidden characters are written out, and a key that comes twice shows twice', async () => {
    await begin();
    scene.arguments =
      '{"command":"<img src=x onerror=alert(1)> \u202Etxt.exe\u200B","command":"id","n":12345678901234567890}';
    await openLink();
    await look();
    const shown = await watched.page.locator('.open .call').innerText();
    assert.match(shown, /<img src=x onerror=alert\(1\)> \\u202etxt\.exe\\u200b/);
    assert.equal(shown.split('"command"').length, 3);
    assert.match(shown, /12345678901234567890/);
    assert.equal(await watched.page.locator('main img').count(), 0);
    assert.deepEqual(faults(), []);
  });

  test('it is read and decided by keyboard alone', async () => {
    await begin();
    const { page } = watched;
    await openLink();
    await pressUntil(/^Look and decide/);
    await page.keyboard.press('Enter');
    await page.locator('.open .call').waitFor();
    await pressUntil(/^Approve$/);
    await page.keyboard.press('Enter');
    await message(/approved/);
    assert.deepEqual(faults(), []);
  });

  test('closed and open, on the first page and its own: nothing is too wide at 360 px, and axe finds nothing, light and dark', async () => {
    await begin({ quorum: 2 });
    const { page } = watched;
    scene.arguments = JSON.stringify({ command: `cat ${'x'.repeat(300)}`, note: 'words '.repeat(400) });
    await scene.turn({ isOwn: true });
    const id = await openLink();
    const check = async (state: string): Promise<void> => {
      for (const viewport of [PHONE_360, { width: 1280, height: 900 }])
        for (const colorScheme of ['light', 'dark'] as const) {
          await page.setViewportSize(viewport);
          await page.emulateMedia({ colorScheme });
          const where = `${state}, ${viewport.width} px, ${colorScheme}`;
          assert.equal(await overflow(page), 0, where);
          assert.deepEqual(await findings(page), [], where);
        }
    };
    await check('link, closed');
    await look();
    await page.getByText('Change what runs').click();
    await check('link, open');
    await scene.decideElsewhere(id, { verdict: 'deny', reason: 'no' });
    await page.locator('#linked dt', { hasText: 'Denied by' }).waitFor();
    await check('link, over');
    scene.arguments = '{"command":"ls"}';
    await scene.turn();
    await page.goto(scene.url);
    await page.locator('#waiting .approval').waitFor();
    await page.locator('#asked .approval').waitFor();
    await check('first page, closed');
    await look();
    await check('first page, open');
  });

  async function pressUntil(name: RegExp): Promise<void> {
    for (let press = 0; press < PRESSES_MAX; press += 1) {
      await watched.page.keyboard.press('Tab');
      const focused = await watched.page.evaluate(
        () => document.activeElement?.getAttribute('aria-label') ?? document.activeElement?.textContent ?? '',
      );
      if (name.test(focused)) return;
    }
    assert.fail(`Tab never reaches ${String(name)}`);
  }
});
