// Builds the web console of a clone: its own packages, then its files, both only when something
// changed. Plain JavaScript, because it must run on Node.js 20.
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import {
  cpSync,
  existsSync,
  mkdirSync,
  readFileSync,
  readdirSync,
  renameSync,
  rmSync,
  statSync,
  writeFileSync,
} from 'node:fs';
import { join, relative } from 'node:path';
import { ROOT, findNode, isClone, withoutNpmNoise } from './launch.js';

const FOLDER = join(ROOT, 'console');
const BUILT = join(FOLDER, 'dist');
const STAMP = '.postern-built.json';
/** What the build reads, besides the packages, which the lock file names. */
const SOURCES = ['src', 'index.html', 'package.json', 'package-lock.json', 'vite.config.ts'];
/** Minutes that a first installation may take before the gateway starts without its console. */
const INSTALL_TIMEOUT_MS = 10 * 60_000;
const BUILD_TIMEOUT_MS = 5 * 60_000;

/**
 * Installs and builds where needed; true if a current build is there. Where it fails it says why and
 * how to go on: the gateway must start without its console.
 */
export function ensureConsole() {
  if (!isClone() || !existsSync(join(FOLDER, 'package-lock.json'))) return true;
  const hash = sourceHash();
  if (stampOf(BUILT) === hash) return true;
  const started = Date.now();
  const failure = ensureConsolePackages() ?? build(hash);
  if (failure !== null) {
    process.stderr.write(
      `postern: the console could not be built: ${failure}. Everything else works; ` +
        'npm run build tries again and shows all of it.\n',
    );
    return false;
  }
  process.stderr.write(`postern: the console is built (${((Date.now() - started) / 1000).toFixed(1)} s)\n`);
  return true;
}

/** Installs the console's packages when they are missing or older than its lock file. Why that failed, or null. */
export function ensureConsolePackages() {
  const lockHash = hashOf(readFileSync(join(FOLDER, 'package-lock.json')));
  const stamp = join(FOLDER, 'node_modules', '.postern-installed.json');
  if (existsSync(stamp) && readJson(stamp)?.hash === lockHash) return null;
  process.stderr.write(
    'postern: installing the packages of the console (first run, or its lock file changed) ...\n',
  );
  const failure = run(
    'npm',
    ['ci', '--ignore-scripts', '--no-audit', '--no-fund', '--loglevel=error'],
    INSTALL_TIMEOUT_MS,
  );
  if (failure !== null) return failure;
  writeFileSync(stamp, JSON.stringify({ hash: lockHash }));
  return null;
}

/** Copies the current build beside the built server, for a package. */
export function copyConsole(target) {
  rmSync(target, { recursive: true, force: true });
  cpSync(BUILT, target, { recursive: true, filter: (source) => !source.endsWith(STAMP) });
}

/**
 * Writes the types of the API (console/src/api/schema.d.ts) from docs/reference/openapi.json, with
 * its hash in the first line, by which a test sees whether they are current.
 */
export function writeConsoleTypes() {
  const document = join(ROOT, 'docs', 'reference', 'openapi.json');
  const target = join(FOLDER, 'src', 'api', 'schema.d.ts');
  const generator = join(FOLDER, 'node_modules', 'openapi-typescript', 'bin', 'cli.js');
  const failure =
    ensureConsolePackages() ?? run(findNode(), [generator, document, '--output', target], BUILD_TIMEOUT_MS);
  if (failure !== null) throw new Error(`the types of the API could not be written: ${failure}`);
  const first = `// Made by npm run openapi from docs/reference/openapi.json, SHA-256 ${hashOf(readFileSync(document))}\n`;
  writeFileSync(target, first + readFileSync(target, 'utf8'));
}

/** Built beside the old files and put in their place at the end: a server that starts meanwhile reads a whole build. */
function build(hash) {
  process.stderr.write('postern: building the console ...\n');
  const made = join(FOLDER, 'node_modules', `.postern-build-${process.pid}`);
  const vite = join(FOLDER, 'node_modules', 'vite', 'bin', 'vite.js');
  const failure = run(findNode(), [vite, 'build', '--logLevel', 'warn', '--outDir', made], BUILD_TIMEOUT_MS);
  if (failure !== null) {
    rmSync(made, { recursive: true, force: true });
    return failure;
  }
  writeFileSync(join(made, STAMP), JSON.stringify({ hash }));
  rmSync(BUILT, { recursive: true, force: true });
  mkdirSync(FOLDER, { recursive: true });
  renameSync(made, BUILT);
  return null;
}

/** Why the program failed, or null. Its output goes to the terminal's error stream. */
function run(command, args, timeout) {
  const result = spawnSync(command, args, {
    cwd: FOLDER,
    stdio: ['ignore', 2, 2],
    env: withoutNpmNoise(),
    timeout,
  });
  if (result.status === 0) return null;
  return `${command} ${args[0] ?? ''} ended with ${result.error?.message ?? `exit ${result.status ?? result.signal}`}`;
}

function sourceHash() {
  const hash = createHash('sha256');
  for (const name of SOURCES)
    for (const file of filesBelow(join(FOLDER, name)))
      hash.update(`${relative(FOLDER, file)}\0${hashOf(readFileSync(file))}\n`);
  return hash.digest('hex');
}

function filesBelow(path) {
  if (!statSync(path).isDirectory()) return [path];
  return readdirSync(path)
    .toSorted()
    .flatMap((name) => filesBelow(join(path, name)));
}

function stampOf(folder) {
  const file = join(folder, STAMP);
  return existsSync(file) ? (readJson(file)?.hash ?? null) : null;
}

function readJson(file) {
  try {
    return JSON.parse(readFileSync(file, 'utf8'));
  } catch {
    return null;
  }
}

function hashOf(bytes) {
  return createHash('sha256').update(bytes).digest('hex');
}
