/**
 * Installs the pinned agents into `.cache/clients`, without install scripts, and puts one small
 * launcher each into `.cache/clients/bin`: with scripts off the packages' own commands are
 * placeholders. 1.2 GB, once. `npm run test:clients` runs this as a program before its test files,
 * which run side by side and must not install over each other.
 */
import { existsSync } from 'node:fs';
import { chmod, copyFile, mkdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { run } from '../postern-process.ts';
import { REAL_AGENTS } from './agents.ts';

const CACHE = fileURLToPath(new URL('../../.cache/clients', import.meta.url));
/** The packages and versions: a package.json and its lock file. */
const PINNED = fileURLToPath(new URL('./pinned', import.meta.url));
const LAUNCHERS = join(CACHE, 'bin');
/** A copy of the lock file that is installed, written last. */
const STAMP = join(CACHE, 'installed-lock.json');
const INSTALL_TIMEOUT_MS = 900_000;

/** The folder with a launcher for each agent, for PATH. Rejects where the pinned ones are not installed. */
export async function installedAgents(): Promise<string> {
  if (!(await isInstalled(await pinnedLock())))
    throw new Error('the pinned agents are not installed: run "npm run test:clients"');
  return LAUNCHERS;
}

async function installAgents(): Promise<void> {
  const lock = await pinnedLock();
  if (await isInstalled(lock)) return;
  await mkdir(CACHE, { recursive: true });
  await rm(STAMP, { force: true });
  for (const name of ['package.json', 'package-lock.json'])
    await copyFile(join(PINNED, name), join(CACHE, name));
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  const result = await run('npm', args, inherited(), { cwd: CACHE, timeoutMs: INSTALL_TIMEOUT_MS });
  if (result.code !== 0) throw new Error(`npm ci in ${CACHE} ended with ${result.code}:\n${result.stderr}`);
  await writeLaunchers();
  await writeFile(STAMP, lock);
}

async function pinnedLock(): Promise<string> {
  return readFile(join(PINNED, 'package-lock.json'), 'utf8');
}

async function isInstalled(lock: string): Promise<boolean> {
  return existsSync(STAMP) && (await readFile(STAMP, 'utf8')) === lock;
}

async function writeLaunchers(): Promise<void> {
  await mkdir(LAUNCHERS, { recursive: true });
  for (const agent of REAL_AGENTS) {
    const words = agent.program(join(CACHE, 'node_modules'));
    for (const word of words)
      if (!existsSync(word)) throw new Error(`${agent.name}: ${word} is not installed`);
    const path = join(LAUNCHERS, agent.name);
    await writeFile(path, `#!/bin/sh\nexec ${words.map((word) => `'${word}'`).join(' ')} "$@"\n`);
    await chmod(path, 0o755);
  }
}

/** npm needs its user's configuration. */
function inherited(): Record<string, string> {
  const entries = Object.entries(process.env).filter(
    (entry): entry is [string, string] => entry[1] !== undefined,
  );
  return Object.fromEntries(entries);
}

if (import.meta.main) await installAgents();
