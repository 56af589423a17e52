/** Takes the picture of the claim page in docs/images; those of the console are taken by its tests (POSTERN_SCREENSHOTS=1): `node test/browser/screenshots.ts`. */
import { mkdirSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { BrowserContextOptions, Page } from 'playwright-core';
import { launchChromium, openWatchedPage } from './browser.ts';
import { startBrowserScene } from './scene.ts';

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

try {
  await take('claim', { viewport: { width: 800, height: 460 } }, async (page) => {
    await page.goto(scene.claimUrl);
    await page.locator('#who-part').waitFor();
  });
} finally {
  await browser.close();
  await scene.stop();
}
