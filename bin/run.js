// The package's tasks (`npm test`, `npm run check`, …): each installs what it needs and runs on the
// pinned Node.js. Plain JavaScript, because it must run on Node.js 20.
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { copyConsole, ensureConsole, ensureConsolePackages, writeConsoleTypes } from './console.js';
import { ROOT, ensurePackages, findNode } from './launch.js';

const [task = '', ...rest] = process.argv.slice(2);

/** Every suite that needs nothing but the packages: no root, no other program, no network. */
const DEFAULT_TESTS = [
  'src/**/*.test.ts',
  'test/*.test.ts',
  'test/upstream/**/*.test.ts',
  'test/scenarios/**/*.test.ts',
  'test/sim/**/*.test.ts',
];

const TASKS = {
  test: () => nodeTest(rest.length > 0 ? rest : DEFAULT_TESTS),
  'test:clients': () => {
    node(['test/clients/install.ts']);
    nodeTest(['test/clients/**/*.test.ts']);
  },
  'test:host': () => nodeTest(['test/host/**/*.test.ts']),
  'test:interop': () => nodeTest(['test/interop/**/*.test.ts'], 2, ['./test/interop/counts.ts']),
  /* One at a time: they measure memory and processor time. */
  'test:load': () => nodeTest(['test/load/**/*.test.ts'], 1),
  'test:browser': () => {
    needConsole();
    nodeTest(['test/browser/**/*.test.ts']);
  },
  check: () => {
    tool('tsc', ['-p', 'tsconfig.json']);
    need(ensureConsolePackages() === null);
    tool('tsc', ['-p', 'console/tsconfig.json']);
    tool('oxlint', ['--type-aware', '--deny-warnings']);
    tool('oxfmt', ['--check']);
  },
  format: () => tool('oxfmt', []),
  bench: () => node(['bench/main.ts', ...rest]),
  'bench:guard': () => node(['bench/guard.ts']),
  'bench:control': () => node(['bench/control/main.ts', ...rest]),
  build: () => {
    tool('tsc', ['-p', 'tsconfig.build.json']);
    needConsole();
    copyConsole(join(ROOT, 'dist', 'console'));
  },
  openapi: () => {
    node(['scripts/write-references.ts']);
    writeConsoleTypes();
  },
};

if (!Object.hasOwn(TASKS, task)) {
  process.stderr.write(`unknown task "${task}"; known: ${Object.keys(TASKS).join(', ')}\n`);
  process.exit(2);
}
ensurePackages('all');
TASKS[task]();

function needConsole() {
  need(ensureConsole());
}

/** What failed has said why. */
function need(isThere) {
  if (!isThere) process.exit(1);
}

function nodeTest(patterns, concurrency = 2, moreReporters = []) {
  node([
    '--import',
    './test/property-seed.ts',
    '--test',
    ...['spec', ...moreReporters].flatMap((name) => [
      `--test-reporter=${name}`,
      '--test-reporter-destination=stdout',
    ]),
    `--test-concurrency=${concurrency}`,
    '--test-timeout=600000',
    ...patterns,
  ]);
}

function node(args) {
  run(findNode(), ['--disable-warning=ExperimentalWarning', ...args]);
}

function tool(name, args) {
  run(join(ROOT, 'node_modules', '.bin', name), args);
}

function run(command, args) {
  const result = spawnSync(command, args, { cwd: ROOT, stdio: 'inherit' });
  if (result.error !== undefined) process.stderr.write(`${command}: ${result.error.message}\n`);
  if (result.status !== 0) process.exit(result.status ?? 1);
}
