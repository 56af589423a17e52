/**
 * What the pages tell a reader to type works, and prints what they show. Blocks marked ```` ```sh run ````
 * are run in order against a server of their own; a block marked ```` ```text like ```` after one is its
 * output, where `…` stands for any text. A block marked ```` ```text banner ```` is what `serve` prints.
 */
import assert from 'node:assert/strict';
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import {
  chmodSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as delay } from 'node:timers/promises';

import { findProviders, loadOperatorSettings } from '../src/config/index.ts';
import { compilePolicy, parseGatewayDocument, runPolicyTests } from '../src/policy/index.ts';

const ROOT = resolve(import.meta.dirname, '..');
const MAIN = join(ROOT, 'src', 'cli', 'main.ts');
const PAGES = [
  'README.md',
  'SECURITY.md',
  'CONTRIBUTING.md',
  ...pagesIn('docs'),
  ...pagesIn('docs/design'),
].filter((page) => existsSync(join(ROOT, page)));

function pagesIn(folder: string): readonly string[] {
  return readdirSync(join(ROOT, folder))
    .filter((name) => name.endsWith('.md'))
    .map((name) => join(folder, name));
}

interface Block {
  /** What stands after the fence. */
  readonly kind: string;
  readonly text: string;
  readonly line: number;
}

function blocksOf(page: string): readonly Block[] {
  const text = readFileSync(join(ROOT, page), 'utf8');
  return [...text.matchAll(/^```([^\n]*)\n(.*?)^```$/gms)].map((match) => ({
    kind: (match[1] ?? '').trim(),
    text: match[2] ?? '',
    line: text.slice(0, match.index).split('\n').length,
  }));
}

/** Whether the output has the shape that a page shows; blanks at line ends do not count. */
function isLike(output: string, shown: string): boolean {
  const plain = (text: string): string => text.replaceAll(/[ \t]+$/gm, '').trim();
  const parts = plain(shown).split('…');
  const pattern = parts.map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[\\s\\S]*?');
  return new RegExp(`^${pattern}$`).test(plain(output));
}

/** The pages name port 8080; the server of this test has another. */
function atPort(text: string, port: string): string {
  return text.replaceAll(/(localhost|127\.0\.0\.1|\[::1\]):8080/g, `$1:${port}`);
}

interface World {
  readonly folder: string;
  readonly server: ChildProcess;
  /** What `serve` printed. */
  readonly banner: string;
  readonly port: string;
}

/** A server with its own state, and a folder with the command `postern` for the PATH. */
async function startWorld(): Promise<World> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-docs-'));
  mkdirSync(join(folder, 'bin'));
  const command = join(folder, 'bin', 'postern');
  writeFileSync(
    command,
    `#!/bin/sh\nexec '${process.execPath}' --disable-warning=ExperimentalWarning '${MAIN}' "$@"\n`,
  );
  chmodSync(command, 0o755);
  const server = spawn(command, ['serve', '--listen', 'localhost:0'], {
    env: environment(folder),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const banner = await printed(server, 'Stop with Ctrl-C');
  return { folder, server, banner, port: /http:\/\/127\.0\.0\.1:(\d+)/.exec(banner)?.[1] ?? '' };
}

function environment(folder: string): Record<string, string> {
  return {
    PATH: `${join(folder, 'bin')}:/usr/bin:/bin`,
    HOME: folder,
    POSTERN_STATE_DIR: join(folder, 'state'),
  };
}

/** What a process printed, once it has a line with this text. */
function printed(child: ChildProcess, text: string): Promise<string> {
  return new Promise((done, reject) => {
    let output = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      output += chunk;
      if (output.includes(text)) done(output);
    });
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}: ${output}`)));
  });
}

function runShell(
  world: World,
  script: string,
): Promise<{ readonly exitCode: number; readonly output: string; readonly errors: string }> {
  return new Promise((done) => {
    const options = { env: environment(world.folder), cwd: world.folder, timeout: 60_000 };
    execFile('/bin/sh', ['-e', '-c', script], options, (error, stdout, stderr) => {
      done({
        exitCode: error === null ? 0 : typeof error.code === 'number' ? error.code : -1,
        output: stdout,
        errors: stderr,
      });
    });
  });
}

/** Runs it again for up to five seconds: what a request leaves in the records is written a moment after its answer. */
async function runUntil(
  place: World,
  script: string,
  isWanted: (output: string) => boolean,
): Promise<{
  readonly exitCode: number;
  readonly output: string;
  readonly errors: string;
  readonly isWanted: boolean;
}> {
  const end = Date.now() + 5_000;
  for (;;) {
    const run = await runShell(place, script);
    const done = run.exitCode !== 0 || isWanted(run.output);
    if (done || Date.now() > end) return { ...run, isWanted: done };
    await delay(100);
  }
}

let world: World | null = null;

before(async () => {
  world = await startWorld();
});

after(async () => {
  if (world === null) return;
  const { server, folder } = world;
  const ended = new Promise((done) => void server.once('exit', done));
  server.kill('SIGTERM');
  await ended;
  rmSync(folder, { recursive: true, force: true });
});

describe('commands on the pages work', () => {
  for (const page of PAGES) {
    const blocks = blocksOf(page);
    for (const [index, block] of blocks.entries()) {
      if (block.kind === 'text banner') {
        test(`${page}:${block.line}`, () => {
          assert.ok(world !== null, 'the server runs');
          assert.ok(isLike(world.banner, atPort(block.text, world.port)), `it printed:\n${world.banner}`);
        });
      }
      if (block.kind !== 'sh run') continue;
      test(`${page}:${block.line}`, async () => {
        assert.ok(world !== null, 'the server runs');
        const { port } = world;
        const here = (text: string): string => atPort(text, port);
        const next = blocks[index + 1];
        const shown = next?.kind === 'text like' ? here(next.text) : null;
        const run = await runUntil(
          world,
          here(block.text),
          (output) => shown === null || isLike(output, shown),
        );
        assert.equal(run.exitCode, 0, run.errors);
        assert.ok(run.isWanted, `it printed:\n${run.output}`);
      });
    }
  }

  test('an output of another shape is noticed', () => {
    assert.ok(isLike('a 1 b\n', 'a … b\n'));
    assert.ok(!isLike('a 1 c\n', 'a … b\n'));
    assert.ok(!isLike('a b\nmore\n', 'a b\n'));
  });
});

describe('documents and settings on the pages load without a problem', () => {
  for (const page of PAGES) {
    for (const block of blocksOf(page).filter(({ kind }) => kind === 'hujson')) {
      const isSettings = block.text.includes('settings.hujson');
      test(`${page}:${block.line}`, () => {
        assert.deepEqual(isSettings ? loadSettings(block.text) : problemsOf(block.text), []);
      });
    }
  }
});

/** Problems beyond notes, and tests of the document that fail. */
function problemsOf(text: string): readonly unknown[] {
  // The pages' documents stand beside providers of the environment.
  const found = findProviders({
    ANTHROPIC_API_KEY: 'a-key-of-some-length',
    OPENAI_API_KEY: 'a-key-of-some-length',
  });
  const { document, problems } = parseGatewayDocument(text, { source: 'api', found, adminsElsewhere: true });
  const snapshot = compilePolicy({ document, found, storedGrants: [], tailnet: 'default', version: 'docs' });
  return [
    ...problems.filter(({ severity }) => severity !== 'note'),
    ...runPolicyTests(snapshot, document.tests),
  ];
}

/** Throws on a setting that is none. */
function loadSettings(text: string): readonly string[] {
  const readFile = (path: string): string | null => (path.endsWith('settings.hujson') ? text : null);
  const settings = loadOperatorSettings({
    flags: {},
    env: {},
    readFile,
    platform: 'linux',
    homedir: '/home/x',
    cwd: '/',
  });
  return settings.dangerous;
}

test('links between the pages lead somewhere', () => {
  const broken = PAGES.flatMap((page) => {
    const text = readFileSync(join(ROOT, page), 'utf8');
    const targets = [...text.matchAll(/\]\(([^)#\s]+)(?:#[^)]*)?\)/g)].map((match) => match[1] ?? '');
    return targets
      .filter((target) => !/^[a-z]+:/.test(target) && !existsSync(join(ROOT, dirname(page), target)))
      .map((target) => `${page}: ${target}`);
  });
  assert.deepEqual(broken, []);
});
