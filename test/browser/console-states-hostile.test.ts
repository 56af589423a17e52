/**
 * Names that strangers give (issue 4, proof): markup, text that runs from right to left, characters
 * without width, addresses that run, and very long ones, as prompt, tool, device, model, agent,
 * session, user, provider, token and reason, on every page. They stay text, the layout holds, and the
 * content policy has nothing to report.
 */
import assert from 'node:assert/strict';
import { userInfo } from 'node:os';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser } from 'playwright-core';
import { launchChromium, type WatchedPage } from './browser.ts';
import { type Made, oneOfEach, pathOf, type Place, PLACES } from './console-places.ts';
import { checkBriefly, type ConsoleScene, openConsole, startConsoleScene } from './console-scene.ts';
import { writeNamedRecords } from './many-records.ts';

/** What each would do, if it were more than text. */
const NAMES = {
  markup: `<img src=x onerror=alert(1)>"'><script>alert(2)</script><svg onload=alert(3)>`,
  'right to left': `\u202eevil\u2066\u202b txt.exe \u05e9\u05dc\u05d5\u05dd`,
  'without width': `a\u200bd\u200cm\u200di\u2060n\ufeff`,
  address: 'javascript:alert(4)//https://example.com/?a=b&c=%3Cscript%3E',
  long: 'x'.repeat(3_000),
} as const;

let browser: Browser;
let scene: ConsoleScene;
let made: Made;
before(async () => {
  browser = await launchChromium();
  scene = await startConsoleScene({
    signInAs: 'admin',
    isStored: true,
    fill: (stateDir) => writeNamedRecords(stateDir, Object.values(NAMES)),
    more: { approvals: { default: { approvers: [`local:${userInfo().uid}`] } } },
  });
  for (const name of Object.values(NAMES)) {
    const said = await scene.asViewer(
      'POST',
      '/v1/chat/completions',
      {
        model: 'postern/echo',
        messages: [{ role: 'user', content: name }],
        tools: [{ type: 'function', function: { name: 'Bash', description: name } }],
      },
      { 'x-postern-session': 'of-words' },
    );
    assert.equal(said.status, 200, said.text);
  }
  made = { ...(await oneOfEach(scene)), session: 'of-words' };
});
after(async () => {
  await browser.close();
  await scene.stop();
});

async function look(t: TestContext, path: string): Promise<WatchedPage> {
  const watched = await openConsole(browser, scene, path);
  t.after(() => watched.close());
  const { page } = watched;
  await page.locator('main .skeleton').first().waitFor({ state: 'detached' });
  assert.equal(await page.locator('main img, main script, main svg[onload]').count(), 0);
  assert.equal(await page.locator('a[href^="javascript:" i]').count(), 0);
  await checkBriefly(watched);
  return watched;
}

/** Pages that show such a name by their own words. */
const SHOWS: readonly Place['name'][] = [
  'live',
  'requests',
  'sessions',
  'a session',
  'usage',
  'approvals',
  'history of approvals',
  'versions',
  'audit',
  'tokens',
];

describe('names of strangers on every page', { concurrency: 3 }, () => {
  for (const place of PLACES)
    test(place.name, async (t) => {
      const { page } = await look(t, pathOf(place, made));
      if (!SHOWS.includes(place.name)) return;
      await page.locator('main', { hasText: NAMES.markup }).waitFor();
    });
});

describe('one thing whose every name is a stranger\u2019s', { concurrency: 3 }, () => {
  for (const [index, kind] of Object.keys(NAMES).entries()) {
    test(`a request: ${kind}`, async (t) => {
      const { page } = await look(t, `/requests/req_named_${index}`);
      const name = Object.values(NAMES)[index] ?? '';
      const heading = await page.getByRole('heading', { level: 1 }).textContent();
      assert.equal(heading, name);
    });
    test(`an approval: ${kind}`, async (t) => {
      await look(t, `/approvals/apr_waiting_${index}`);
    });
  }
});
