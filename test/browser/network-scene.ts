/** The pages of Postern's own networks before somebody with a role. */
import type { TestContext } from 'node:test';
import type { Browser } from 'playwright-core';
import type { WatchedPage } from './browser.ts';
import {
  type ConsoleScene,
  type ConsoleSceneOptions,
  openConsole,
  startConsoleScene,
} from './console-scene.ts';

export interface NetworkBed {
  readonly scene: ConsoleScene;
  readonly watched: WatchedPage;
  /** Items of a list of the API, as the operator reads it. */
  readonly list: (path: string) => Promise<readonly Record<string, unknown>[]>;
}

/** Ends with the test. */
export async function openNetwork(
  t: TestContext,
  browser: Browser,
  options: ConsoleSceneOptions = {},
): Promise<NetworkBed> {
  const scene = await startConsoleScene({ signInAs: 'admin', ...options });
  t.after(() => scene.stop());
  const watched = await openConsole(browser, scene);
  t.after(() => watched.close());
  return {
    scene,
    watched,
    list: async (path) => Object((await scene.asOperator('GET', `/api/v1/${path}`)).json).items,
  };
}
