/**
 * The console in Chromium, in front of a real Postern with a fake upstream: who looks at it has the
 * role that a test wants, and every page that is checked must be fit for everybody.
 */
import assert from 'node:assert/strict';
import { mkdirSync } from 'node:fs';
import { userInfo } from 'node:os';
import { fileURLToPath } from 'node:url';
import type { Browser, BrowserContextOptions, Page } from 'playwright-core';
import { documentFor, PROVIDER_ENV } from '../scenarios/fake-providers.ts';
import { startFakeUpstream, type FakeUpstream } from '../upstream/index.ts';
import { plugIn } from './authenticator.ts';
import { DESKTOP, openWatchedPage, PHONE, type WatchedPage } from './browser.ts';
import { findings, overflow } from './looks.ts';
import { startBrowserScene, type BrowserScene } from './scene.ts';

export type ViewerRole = 'user' | 'lead' | 'approver' | 'auditor' | 'admin' | 'nobody';

/** The group that a `lead` leads; its members are made with `mint`. */
export const LED_GROUP = 'group:research';

const ADMIN_TOKEN = 'break-glass-token-of-this-test-0123456789';
const PICTURES = fileURLToPath(new URL('../../docs/images/console', import.meta.url));

export interface ConsoleSceneOptions {
  /** Who looks at the console: whoever runs the tests, by the `local` door. Default `user`. */
  readonly signInAs?: ViewerRole;
  /** Members of the gateway document beside providers and grants, or instead of them. */
  readonly more?: Readonly<Record<string, unknown>>;
  /** Added to what the viewer may do, such as `quotas`. */
  readonly capability?: object;
  /** Grants beside those of the viewer. */
  readonly grants?: readonly object[];
  /** Members of `group:research`, such as `service:agent`. */
  readonly members?: readonly string[];
  /** The document is saved through the API, so that it can be changed there; else a file owns it. */
  readonly isStored?: boolean;
  /** Further settings of the operator, such as `POSTERN_NODE`. */
  readonly env?: Readonly<Record<string, string>>;
  /** Writes what the state folder holds before the server opens it. */
  readonly fill?: (stateDir: string) => Promise<void>;
  /** The fake upstream's calls and such. */
  readonly upstream?: Parameters<typeof startFakeUpstream>[0];
}

export interface ApiAnswer {
  readonly status: number;
  readonly text: string;
  /** Parsed; null where it is no JSON. */
  readonly json: unknown;
}

export interface ConsoleScene extends BrowserScene {
  readonly upstream: FakeUpstream;
  /** Calls the API as the operator (break-glass): the way to check an effect or prepare a state. */
  asOperator(method: string, path: string, body?: unknown): Promise<ApiAnswer>;
  /** As the viewer, without presence. */
  asViewer(
    method: string,
    path: string,
    body?: unknown,
    headers?: Readonly<Record<string, string>>,
  ): Promise<ApiAnswer>;
  /** Puts a document in force as the operator; only with `isStored`. */
  saveDocument(text: string): Promise<void>;
  /** A token of somebody else, such as `service:agent`; its text for an `Authorization: Bearer` header. */
  mint(owner: string, scopes?: readonly string[]): Promise<string>;
}

/** Starts a server whose document grants the viewer one role; `nobody` is known but has none. */
export async function startConsoleScene(options: ConsoleSceneOptions = {}): Promise<ConsoleScene> {
  const { signInAs = 'user', more = {}, grants = [], members = [], capability = {} } = options;
  const upstream = await startFakeUpstream(options.upstream);
  const viewer = `local:${userInfo().uid}`;
  const document = documentFor(upstream.url, {
    more: {
      groups: { [LED_GROUP]: [...members] },
      grants: [...grantsOf(signInAs, viewer, capability), ...grants],
      ...more,
    },
  });
  const scene = await startBrowserScene({
    ...(options.isStored === true ? {} : { document }),
    env: { ...PROVIDER_ENV, POSTERN_ADMIN_TOKEN: ADMIN_TOKEN, ...options.env },
    ...(options.fill === undefined ? {} : { fill: options.fill }),
  });
  const call = async (
    method: string,
    path: string,
    body: unknown,
    headers: Readonly<Record<string, string>>,
  ): Promise<ApiAnswer> => {
    const answer = await fetch(scene.url + path, {
      method,
      headers: { ...(body === undefined ? {} : { 'content-type': 'application/json' }), ...headers },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await answer.text();
    return { status: answer.status, text, json: parsed(text) };
  };
  const operator = { authorization: `Bearer ${ADMIN_TOKEN}` };
  const saveDocument = async (text: string): Promise<void> => {
    const read = await call('GET', '/api/v1/config', undefined, operator);
    const match = { 'if-match': String(Object(read.json).etag) };
    const saved = await call('PUT', '/api/v1/config', { text }, { ...operator, ...match });
    assert.equal(saved.status, 200, saved.text);
  };
  if (options.isStored === true)
    await saveDocument(storedText(document)).catch(async (error: unknown) => {
      await stopBoth(scene, upstream)();
      throw error;
    });
  return Object.assign(scene, {
    upstream,
    saveDocument,
    asOperator: (method: string, path: string, body?: unknown) => call(method, path, body, operator),
    asViewer: (method: string, path: string, body?: unknown, headers = {}) =>
      call(method, path, body, headers),
    async mint(owner: string, scopes: readonly string[] = ['use']) {
      const minted = await call('POST', '/api/v1/tokens', { name: 'test', owner, scopes }, operator);
      assert.equal(minted.status, 201, minted.text);
      return String(Object(minted.json).token);
    },
    stop: stopBoth(scene, upstream),
  });
}

/** As text; `env:` values are for files only, so that keys stand in it in full. */
function storedText(document: object): string {
  return JSON.stringify(document, null, 2).replaceAll(
    /"env:(\w+)"/g,
    (_, name: string) => `"${PROVIDER_ENV[name] ?? ''}"`,
  );
}

function stopBoth(scene: BrowserScene, upstream: FakeUpstream): () => Promise<void> {
  const { stop } = scene;
  return async () => {
    await stop();
    await upstream.close();
  };
}

function grantsOf(role: ViewerRole, viewer: string, more: object): readonly object[] {
  const grant = (src: readonly string[], capability: object): object => ({
    src,
    app: { 'postern.dev/cap/gateway': [capability] },
  });
  const uses = { role: 'user', models: '**' };
  const others = grant(['service:agent', LED_GROUP], uses);
  if (role === 'nobody') return [others];
  const mine = [others, grant([viewer], { ...uses, ...more })];
  if (role === 'user') return mine;
  if (role === 'lead') return [...mine, grant([viewer], { role: 'lead', leads: [LED_GROUP] })];
  return [...mine, grant([viewer], { role })];
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return null;
  }
}

/** Opens an address of the console in a browser context of its own. */
export async function openConsole(
  browser: Browser,
  scene: BrowserScene,
  path = '/',
  options: BrowserContextOptions = {},
): Promise<WatchedPage> {
  const watched = await openWatchedPage(browser, scene.url, options);
  await watched.page.goto(scene.url + path);
  await watched.page.locator('main h1').first().waitFor();
  return watched;
}

/** Gives the viewer a passkey of Chromium's virtual authenticator and ends their presence: what needs it will ask. */
export async function givePasskey(watched: WatchedPage, scene: BrowserScene): Promise<void> {
  const { page } = watched;
  await plugIn(watched);
  await page.goto(`${scene.url}/presence`);
  await page.getByRole('button', { name: 'Print a code' }).click();
  await page.locator('#message', { hasText: 'printed a code' }).waitFor();
  await page.locator('#code').fill(/presence#(\w+)/.exec(scene.announced.at(-1) ?? '')?.[1] ?? '');
  await page.getByRole('button', { name: 'Use the code' }).click();
  await page.locator('#done').waitFor();
  await page.getByRole('button', { name: 'Add a passkey' }).click();
  await page.locator('#message', { hasText: 'The passkey is added' }).waitFor();
  await page.getByRole('button', { name: 'End my presence everywhere' }).click();
  await page.locator('#state', { hasText: 'You are not present' }).waitFor();
}

/** In the dialog that asks for the viewer: uses the passkey of `givePasskey`. */
export async function showPresence({ page, faults }: WatchedPage): Promise<void> {
  const dialog = page.getByRole('dialog', { name: 'This needs you in person' });
  await dialog.getByRole('button', { name: 'Use a passkey' }).click();
  await dialog.waitFor({ state: 'detached' });
  // The browser's own line about the refusal that opened the dialog.
  const refusal = faults.findIndex((fault) => /Failed to load resource.* 403/.test(fault));
  if (refusal >= 0) faults.splice(refusal, 1);
}

const SIZES = { desktop: DESKTOP, phone: PHONE } as const;

/**
 * At both widths, light and dark: nothing is wider than the window, axe finds nothing serious, and
 * so far nothing was asked of another origin, no content policy was broken and nothing was logged.
 * `isBroken` expects the browser's own lines about answers that failed (`breakApi`).
 */
export async function checkPage(
  watched: WatchedPage,
  { isBroken = false }: { readonly isBroken?: boolean } = {},
): Promise<void> {
  const { page } = watched;
  const before = page.viewportSize() ?? DESKTOP;
  for (const [name, size] of Object.entries(SIZES)) {
    await page.setViewportSize(size);
    for (const colorScheme of ['light', 'dark'] as const) {
      await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
      await painted(page, colorScheme);
      assert.equal(await overflow(page), 0, `${name} ${colorScheme}: wider than the window`);
      assert.deepEqual(await findings(page, ['serious', 'critical']), [], `${name} ${colorScheme}`);
    }
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null });
  await page.setViewportSize(before);
  checkFaults(watched, isBroken);
}

/** Nothing went wrong so far, but for the browser's own lines about answers that were made to fail. */
export function checkFaults({ faults }: WatchedPage, isBroken = false): void {
  const expected = (fault: string): boolean => isBroken && fault.includes('Failed to load resource');
  assert.deepEqual(
    faults.filter((fault) => !expected(fault)),
    [],
  );
}

/**
 * As `checkPage` for suites of many pages: once on a desktop in light and once on a phone in dark.
 * With `isBroken` the browser's own lines about answers that failed are expected.
 */
export async function checkBriefly(
  watched: WatchedPage,
  { isBroken = false }: { readonly isBroken?: boolean } = {},
): Promise<void> {
  const { page } = watched;
  const before = page.viewportSize() ?? DESKTOP;
  for (const [size, colorScheme] of [
    [DESKTOP, 'light'],
    [PHONE, 'dark'],
  ] as const) {
    await page.setViewportSize(size);
    await page.emulateMedia({ colorScheme, reducedMotion: 'reduce' });
    await painted(page, colorScheme);
    assert.equal(await overflow(page), 0, `${size.width} px: wider than the window`);
    assert.deepEqual(await findings(page, ['serious', 'critical']), [], `${size.width} px ${colorScheme}`);
  }
  await page.emulateMedia({ colorScheme: null, reducedMotion: null });
  await page.setViewportSize(before);
  checkFaults(watched, isBroken);
}

/** Waits until the page is drawn as it was told: the scheme arrives later than the call returns. */
async function painted(page: Page, colorScheme: 'light' | 'dark'): Promise<void> {
  await page.evaluate(async (scheme) => {
    const frame = () => new Promise((resolve) => requestAnimationFrame(resolve));
    while (!matchMedia(`(prefers-color-scheme: ${scheme})`).matches) await frame();
    await frame();
    await frame();
  }, colorScheme);
}

/** Takes `docs/images/console/NAME.png`, if the run is to take pictures (`POSTERN_SCREENSHOTS=1`). */
export async function screenshot({ page }: WatchedPage, name: string): Promise<void> {
  if (process.env['POSTERN_SCREENSHOTS'] !== '1') return;
  mkdirSync(PICTURES, { recursive: true });
  await page.screenshot({ path: `${PICTURES}/${name}.png`, animations: 'disabled' });
}

/** Every answer of these paths fails as if the server had a fault, until the returned function is called. */
export async function breakApi(
  { page }: WatchedPage,
  path: string | RegExp,
  how: 'fault' | 'offline' = 'fault',
): Promise<() => Promise<void>> {
  await page.route(path, (route) =>
    how === 'offline'
      ? route.abort('connectionrefused')
      : route.fulfill({
          status: 500,
          contentType: 'application/problem+json',
          body: JSON.stringify({
            type: 'about:blank',
            title: 'Internal Server Error',
            status: 500,
            detail: 'internal error; the operator finds it in the log by the request id',
            code: 'internal',
            request_id: 'req_test',
          }),
        }),
  );
  return () => page.unroute(path);
}
