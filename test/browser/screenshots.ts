/** Takes the pictures in docs/images: `node test/browser/screenshots.ts`. */
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { addPasskeyAndLeave, startAskingScene } from './asking-scene.ts';
import { plugIn } from './authenticator.ts';
import { DESKTOP, launchChromium, openWatchedPage, PHONE } from './browser.ts';
import { startBrowserScene } from './scene.ts';
import { makeTraffic } from './traffic.ts';

const FOLDER = fileURLToPath(new URL('../../docs/images', import.meta.url));

mkdirSync(FOLDER, { recursive: true });
const scene = await startBrowserScene();
const browser = await launchChromium();

async function take(
  name: string,
  options: BrowserContextOptions,
  show: (page: Page) => Promise<void>,
): Promise<void> {
  const watched = await openWatchedPage(browser, scene.url, { timezoneId: 'UTC', ...options });
  await show(watched.page);
  await watched.page.screenshot({ path: `${FOLDER}/${name}.png`, fullPage: true });
  if (watched.faults.length > 0) throw new Error(`${name}: ${watched.faults.join('; ')}`);
  await watched.close();
}

const showFirstPage = async (page: Page): Promise<void> => {
  await page.goto(scene.url);
  await page.locator('#usage-total td').first().waitFor();
  await page.locator('#requests tr').nth(4).waitFor();
  await page.locator('#live.live').waitFor();
};

try {
  await take('claim', { viewport: { width: 800, height: 460 } }, async (page) => {
    await page.goto(scene.claimUrl);
    await page.locator('#who-part').waitFor();
  });
  await makeTraffic(scene.url);
  await take('first-page-light', { viewport: DESKTOP }, showFirstPage);
  await take('first-page-dark', { viewport: DESKTOP, colorScheme: 'dark' }, showFirstPage);
  await take('first-page-phone', { viewport: PHONE }, showFirstPage);
  await takeApproval();
} finally {
  await browser.close();
  await scene.stop();
}

async function takeApproval(): Promise<void> {
  const asking = await startAskingScene({ quorum: 2 });
  const watched = await openWatchedPage(browser, asking.url, {
    timezoneId: 'UTC',
    viewport: { width: 800, height: 600 },
  });
  try {
    await plugIn(watched);
    await addPasskeyAndLeave(watched, asking);
    asking.arguments = '{"command":"npm publish --access public","cwd":"/srv/app"}';
    await asking.turn({ headers: { 'x-postern-agent': 'claude-code', 'x-postern-session': 's1' } });
    await watched.page.goto(`${asking.url}/approvals/${await asking.newestId()}`);
    await watched.page.getByRole('button', { name: /^Look and decide/ }).click();
    await watched.page.locator('.open .call').waitFor();
    await watched.page.screenshot({ path: `${FOLDER}/approval.png`, fullPage: true });
    if (watched.faults.length > 0) throw new Error(`approval: ${watched.faults.join('; ')}`);
  } finally {
    await watched.close();
    await asking.stop();
  }
}
