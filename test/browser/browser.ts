/**
 * Debian's Chromium, and pages that are watched: an error on the console, a violation of the content
 * policy, an exception, a dialog or a request to anywhere else than the server under test is a fault.
 */
import {
  chromium,
  type Browser,
  type BrowserContext,
  type BrowserContextOptions,
  type CDPSession,
  type Page,
} from 'playwright-core';

const EXECUTABLE = '/usr/bin/chromium';
const ARGUMENTS = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];
/** Far above what any step takes on a loaded machine. */
const STEP_TIMEOUT_MS = 15_000;

/** Starts Chromium with a profile of its own that ends with it. */
export function launchChromium(): Promise<Browser> {
  return chromium.launch({ executablePath: EXECUTABLE, args: ARGUMENTS, headless: true });
}

export const DESKTOP = { width: 1280, height: 900 } as const;
export const PHONE = { width: 390, height: 844 } as const;

export interface WatchedPage {
  readonly page: Page;
  readonly context: BrowserContext;
  readonly devtools: CDPSession;
  /** What went wrong so far; a test that expects a fault takes it out. */
  readonly faults: string[];
  close(): Promise<void>;
}

/** A page in a context of its own. `origin` is the only one that it may ask. */
export async function openWatchedPage(
  browser: Browser,
  origin: string,
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const context = await browser.newContext({ viewport: DESKTOP, timezoneId: 'Asia/Kolkata', ...options });
  context.setDefaultTimeout(STEP_TIMEOUT_MS);
  const faults: string[] = [];
  // The listener is added before any script of the page, whose own violations it reports.
  await context.addInitScript(() => {
    document.addEventListener('securitypolicyviolation', (event) => {
      console.error(`content policy: ${event.violatedDirective} blocked ${event.blockedURI}`);
    });
  });
  const page = await context.newPage();
  page.on('console', (message) => {
    if (message.type() === 'error' || message.type() === 'warning') faults.push(`console: ${message.text()}`);
  });
  page.on('pageerror', (error) => faults.push(`exception: ${error.message}`));
  page.on('dialog', (dialog) => {
    faults.push(`dialog: ${dialog.message()}`);
    void dialog.dismiss();
  });
  page.on('request', (request) => {
    const url = new URL(request.url());
    if (url.protocol !== 'data:' && url.origin !== origin) faults.push(`foreign request: ${request.url()}`);
  });
  const devtools = await context.newCDPSession(page);
  return { page, context, devtools, faults, close: () => context.close() };
}

/** Asks again until it holds; rejects after 15 s. */
export async function waitUntil(holds: () => boolean | Promise<boolean>): Promise<void> {
  const deadline = Date.now() + STEP_TIMEOUT_MS;
  while (!(await holds())) {
    if (Date.now() > deadline) throw new Error('what was waited for did not come within 15 s');
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
}
