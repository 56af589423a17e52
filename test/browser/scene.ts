/** A real Postern in this process whose wall clock a test can move, for what a browser sees of it. */
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Clock } from '../../src/base/clock.ts';
import { createLogger } from '../../src/base/log.ts';
import { loadOperatorSettings, settingsFiles } from '../../src/config/index.ts';
import { startServer } from '../../src/server.ts';

export interface BrowserScene {
  /** `http://localhost:PORT`: passkeys and presence need the name, not the address. */
  readonly url: string;
  readonly stateDir: string;
  /** One-time link that makes the first admin. */
  readonly claimUrl: string;
  /** Lines that the server printed on the operator's terminal. */
  readonly announced: readonly string[];
  /** Moves the server's wall clock forward. */
  passMinutes(minutes: number): void;
  stop(): Promise<void>;
}

export interface BrowserSceneOptions {
  /** The gateway document; without one the person who runs the tests may use the test model, and nobody administers. */
  readonly document?: object;
  readonly env?: Readonly<Record<string, string>>;
  /** Writes what the state folder holds before the server opens it. */
  readonly fill?: (stateDir: string) => Promise<void>;
}

export async function startBrowserScene(options: BrowserSceneOptions = {}): Promise<BrowserScene> {
  const { document } = options;
  const env = { ...builtConsole(), ...options.env };
  const stateDir = mkdtempSync(join(tmpdir(), 'postern-browser-'));
  const documentFile = join(stateDir, 'gateway.hujson');
  if (document !== undefined) writeFileSync(documentFile, JSON.stringify(document));
  await options.fill?.(stateDir);
  let aheadMs = 0;
  const clock: Clock = { now: () => Date.now() + aheadMs, monotonicMs: () => performance.now() };
  const announced: string[] = [];
  const settings = loadOperatorSettings({
    flags: {
      listen: 'localhost:0',
      stateDir,
      allowUpstream: '127.0.0.0/8',
      ...(document === undefined ? {} : { config: documentFile }),
    },
    env,
    platform: process.platform,
    homedir: stateDir,
    readFile: settingsFiles.readFile,
  });
  const server = await startServer({
    settings,
    env,
    logger: createLogger({ format: 'text', level: 'error', write: () => undefined, now: clock.now }),
    announce: (text) => announced.push(text),
    clock,
  });
  return {
    url: `http://localhost:${new URL(server.url).port}`,
    stateDir,
    claimUrl: server.claimUrl ?? '',
    announced,
    passMinutes(minutes) {
      aheadMs += minutes * 60_000;
    },
    async stop() {
      await server.close(0);
      rmSync(stateDir, { recursive: true, force: true });
    },
  };
}

/** Another build of the console than the usual one, where the environment of the tests names it. */
function builtConsole(): Readonly<Record<string, string>> {
  const folder = process.env['POSTERN_CONSOLE_DIR'];
  return folder === undefined ? {} : { POSTERN_CONSOLE_DIR: folder };
}
