/**
 * The records of the console when the API fails or cannot be reached, and when somebody reads the
 * words of another (issue 4; DESIGN section 5: with a reason, in person, on record).
 */
import assert from 'node:assert/strict';
import { after, before, describe, test, type TestContext } from 'node:test';
import type { Browser } from 'playwright-core';
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

const WORDS = 'Where does the parser lose its last line?';

let browser: Browser;
before(async () => {
  browser = await launchChromium();
});
after(() => browser.close());

interface Recorded {
  readonly scene: ConsoleScene;
  readonly watched: WatchedPage;
  /** Id of the one request, of the session `hunt`. */
  readonly id: string;
}

/** One request of the viewer, or of `service:agent`, and a page of the console. */
async function startRecorded(
  t: TestContext,
  options: ConsoleSceneOptions & { readonly isOfAgent?: boolean } = {},
): Promise<Recorded> {
  const scene = await startConsoleScene(options);
  t.after(() => scene.stop());
  const token = options.isOfAgent === true ? await scene.mint('service:agent') : null;
  const answer = await scene.asViewer(
    'POST',
    '/v1/messages',
    { model: 'claude-sonnet-4-5', max_tokens: 100, messages: [{ role: 'user', content: WORDS }] },
    {
      'anthropic-version': '2023-06-01',
      'x-postern-session': 'hunt',
      ...(token === null ? {} : { authorization: `Bearer ${token}` }),
    },
  );
  assert.equal(answer.status, 200, answer.text);
  let id = '';
  await waitUntil(async () => {
    const { json } = await scene.asOperator('GET', '/api/v1/requests');
    id = String(Object(Object(json).items?.[0]).id ?? '');
    return id !== '';
  });
  const watched = await openConsole(browser, scene);
  t.after(() => watched.close());
  return { scene, watched, id };
}

/** What the page says when its question fails, and what it shows once the question is answered. */
const PAGES: readonly {
  readonly name: string;
  readonly path: (id: string) => string;
  readonly api: RegExp;
  readonly says: string;
  readonly shows: string;
}[] = [
  {
    name: 'live',
    path: () => '/live',
    api: /\/api\/v1\/requests\?/,
    says: 'The newest requests could not be loaded',
    shows: 'claude-sonnet-4-5',
  },
  {
    name: 'requests',
    path: () => '/requests',
    api: /\/api\/v1\/requests[?/]/,
    says: 'Requests could not be loaded',
    shows: 'claude-sonnet-4-5',
  },
  {
    name: 'one request',
    path: (id) => `/requests/${id}`,
    api: /\/api\/v1\/requests\/req_/,
    says: 'The request could not be loaded',
    shows: 'Where the time went',
  },
  {
    name: 'sessions',
    path: () => '/sessions',
    api: /\/api\/v1\/sessions/,
    says: 'Sessions could not be loaded',
    shows: 'hunt',
  },
  {
    name: 'one session',
    path: () => '/sessions/hunt',
    api: /\/api\/v1\/sessions\/hunt/,
    says: 'The session could not be loaded',
    shows: WORDS,
  },
];

for (const how of ['fault', 'offline'] as const)
  describe(`when the API ${how === 'fault' ? 'answers with a fault' : 'cannot be reached'}`, () => {
    for (const { name, path, api, says, shows } of PAGES)
      test(`the page of ${name} says what failed, and shows it after another try`, async (t) => {
        const { scene, watched, id } = await startRecorded(t);
        const { page } = watched;
        const mend = await breakApi(watched, api, how);
        await page.goto(scene.url + path(id));
        await page.getByText(says, { exact: true }).waitFor();
        await checkPage(watched, { isBroken: true });
        await mend();
        const main = page.getByRole('main');
        const again = main.getByRole('button', { name: 'Try again' }).first();
        const shown = main.getByText(shows, { exact: true }).first();
        // What listens to news may have asked again by itself.
        await waitUntil(async () => {
          if (await shown.isVisible()) return true;
          await again.click({ timeout: 1_000 }).catch(() => undefined);
          return false;
        });
      });
  });

describe('the words of another', () => {
  const reads = async (scene: ConsoleScene): Promise<readonly unknown[]> => {
    const { json } = await scene.asOperator('GET', '/api/v1/audit?action=prompt.read');
    return Object(json).items;
  };

  test('an auditor reads a session after a reason and in person, and both are on record', async (t) => {
    const { scene, watched } = await startRecorded(t, { signInAs: 'auditor', isOfAgent: true });
    const { page } = watched;
    await givePasskey(watched, scene);
    await page.goto(`${scene.url}/sessions/hunt?principal=service:agent`);
    const reason = page.getByRole('textbox', { name: 'Why do you read this?' });
    await reason.waitFor();
    assert.equal(await page.getByText(WORDS).count(), 0);
    await checkPage(watched);
    await screenshot(watched, 'session-of-another');
    await page.getByRole('button', { name: 'Read it' }).click();
    await page.getByText('Say why, in a few words.').waitFor();
    await reason.fill('incident 42');
    await page.getByRole('button', { name: 'Read it' }).click();
    await showPresence(watched);
    await page.getByText(WORDS).first().waitFor();
    const [entry] = await reads(scene);
    const { actor, target, reason: why } = Object(entry);
    assert.match(String(actor), /^local:/);
    assert.deepEqual([target, why], ['hunt', 'incident 42']);
    await checkPage(watched);
  });

  test('on a phone an auditor reads one request in the same way', async (t) => {
    const { scene, watched, id } = await startRecorded(t, { signInAs: 'auditor', isOfAgent: true });
    const { page } = watched;
    await page.setViewportSize(PHONE);
    await givePasskey(watched, scene);
    await page.goto(`${scene.url}/requests/${id}`);
    await page.getByRole('textbox', { name: 'Why do you read this?' }).fill('incident 43');
    await page.getByRole('button', { name: 'Read it' }).click();
    await showPresence(watched);
    await page.getByText(WORDS).first().waitFor();
    const entries = (await reads(scene)).map((entry) => Object(entry).reason);
    assert.ok(entries.length > 0 && entries.every((why) => why === 'incident 43'), String(entries));
    assert.deepEqual(watched.faults, []);
  });

  test('without a passkey used nothing is shown and nothing is recorded as read', async (t) => {
    const { scene, watched } = await startRecorded(t, { signInAs: 'auditor', isOfAgent: true });
    const { page } = watched;
    await givePasskey(watched, scene);
    await page.goto(`${scene.url}/sessions/hunt?principal=service:agent`);
    await page.getByRole('textbox', { name: 'Why do you read this?' }).fill('incident 44');
    await page.getByRole('button', { name: 'Read it' }).click();
    await page.getByRole('dialog', { name: 'This needs you in person' }).waitFor();
    await page.keyboard.press('Escape');
    await page.getByText('could not be loaded').waitFor();
    assert.equal(await page.getByText(WORDS).count(), 0);
    assert.deepEqual(await reads(scene), []);
  });

  test('a lead sees what the group used, not what was said', async (t) => {
    const { scene, watched, id } = await startRecorded(t, {
      signInAs: 'lead',
      members: ['service:agent'],
      isOfAgent: true,
    });
    const { page } = watched;
    await page.goto(`${scene.url}/sessions/hunt?principal=service:agent`);
    await page.getByText('You see what your group used, not what was said.').waitFor();
    await page.getByRole('article', { name: 'Turn 1', exact: true }).waitFor();
    await page.goto(`${scene.url}/requests/${id}`);
    await page.getByText('These words are not yours to read').waitFor();
    assert.equal(await page.getByText(WORDS).count(), 0);
    const read = await scene.asViewer('GET', `/api/v1/requests/${id}/conversation?reason=because`);
    assert.equal(read.status, 403);
    assert.deepEqual(watched.faults, []);
  });
});
