/**
 * What the pages tell a reader to type works, and prints what they show. Blocks marked ```` ```sh run ````
 * are run in order against a server of their own; a block marked ```` ```text like ```` after one is its
 * output, where `…` stands for any text.
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
  const plain = (text: string): string => text.replaceAll(/[ \t]+$/gm, '').trimEnd();
  const parts = plain(shown).split('…');
  const pattern = parts.map((part) => part.replaceAll(/[.*+?^${}()|[\]\\]/g, '\\$&')).join('[\\s\\S]*?');
  return new RegExp(`^${pattern}$`).test(plain(output));
}

interface World {
  readonly folder: string;
  readonly server: ChildProcess;
  /** `localhost:PORT`, in place of the pages' `localhost:8080`. */
  readonly address: string;
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
  const server = spawn(command, ['serve', '--listen', 'localhost:0', '--json'], {
    env: environment(folder),
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const banner = JSON.parse(await firstObject(server));
  return { folder, server, address: new URL(banner.url).host };
}

function environment(folder: string): Record<string, string> {
  return {
    PATH: `${join(folder, 'bin')}:/usr/bin:/bin`,
    HOME: folder,
    POSTERN_STATE_DIR: join(folder, 'state'),
  };
}

/** The first JSON object that a process prints. */
function firstObject(child: ChildProcess): Promise<string> {
  return new Promise((done, reject) => {
    let text = '';
    child.stdout?.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (/^\}$/m.test(text)) done(text);
    });
    child.once('exit', (code) => reject(new Error(`the server ended with ${code}: ${text}`)));
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
      if (block.kind !== 'sh run') continue;
      test(`${page}:${block.line}`, async () => {
        assert.ok(world !== null, 'the server runs');
        const { address } = world;
        const here = (text: string): string => text.replaceAll('localhost:8080', address);
        const { exitCode, output, errors } = await runShell(world, here(block.text));
        assert.equal(exitCode, 0, errors);
        const next = blocks[index + 1];
        if (next?.kind === 'text like') assert.ok(isLike(output, here(next.text)), `it printed:\n${output}`);
      });
    }
  }

  test('an output of another shape is noticed', () => {
    assert.ok(isLike('a 1 b\n', 'a … b\n'));
    assert.ok(!isLike('a 1 c\n', 'a … b\n'));
    assert.ok(!isLike('a b\nmore\n', 'a b\n'));
  });
});

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
