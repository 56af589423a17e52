import assert from 'node:assert/strict';
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { createServer, get } from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { awaitStop } from './stop-signal.ts';

/** A server that does not end is a failure, not a reason to wait. */
const LIMIT = { timeout: 30_000 };

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

interface Serving {
  readonly child: ChildProcess;
  readonly stateDir: string;
  /** All of standard output, once it has a line with this text. */
  printed(text: string): Promise<string>;
  /** The exit code, or the signal that ended it. */
  readonly ended: Promise<number | string | null>;
  errors(): string;
}

function serve(args: readonly string[], stateDir = mkdtempSync(join(folder, 'state-'))): Serving {
  const child = spawn(
    process.execPath,
    ['--disable-warning=ExperimentalWarning', MAIN, 'serve', '--state-dir', stateDir, ...args],
    {
      env: { PATH: '/usr/bin:/bin', HOME: folder },
      stdio: ['ignore', 'pipe', 'pipe'],
    },
  );
  let output = '';
  let errors = '';
  const waiting = new Set<() => void>();
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
    for (const check of waiting) check();
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (errors += chunk));
  const ended = new Promise<number | string | null>(
    (resolve) => void child.once('close', (code, signal) => resolve(code ?? signal)),
  );
  return {
    child,
    stateDir,
    ended,
    errors: () => errors,
    printed: (text) =>
      new Promise((resolve, reject) => {
        const check = (): void => {
          if (output.includes(text)) resolve(output);
        };
        waiting.add(check);
        check();
        void ended.then((code) =>
          reject(new Error(`it ended with ${String(code)} before it printed "${text}": ${errors}`)),
        );
      }),
  };
}

describe('serve', LIMIT, () => {
  test('the banner says address, claim link, state, providers, what is kept and a line to try; SIGTERM stops it well', async () => {
    const serving = serve(['--listen', 'localhost:0']);
    const banner = await serving.printed('Stop with Ctrl-C');
    assert.match(banner, /Postern listens on http:\/\/127\.0\.0\.1:\d+/);
    assert.match(banner, /http:\/\/localhost:\d+\/claim#[a-z0-9]{32}/);
    assert.ok(banner.includes(serving.stateDir));
    assert.match(banner, /providers +postern \(built-in test model\)/);
    assert.match(banner, /capture: full/);
    assert.match(banner, /curl .*postern\/echo/);
    assert.ok(!banner.includes('\u001b'), 'no colours: it is no terminal');
    const serverFile = join(serving.stateDir, 'server.json');
    assert.equal(statSync(serverFile).mode & 0o777, 0o600);
    const { url } = JSON.parse(readFileSync(serverFile, 'utf8'));
    assert.equal(await statusOf(`${url}/healthz`), 200);
    serving.child.kill('SIGTERM');
    assert.equal(await serving.ended, 0, serving.errors());
    assert.ok(!existsSync(serverFile));
  });

  test('--json prints the same as one object', async () => {
    const serving = serve(['--listen', 'localhost:0', '--json']);
    const banner = JSON.parse(await serving.printed('"pid"'));
    assert.equal(banner.pid, serving.child.pid);
    assert.equal(banner.state_dir, serving.stateDir);
    assert.match(banner.claim_url, /^http:\/\/localhost:\d+\/claim#/);
    serving.child.kill('SIGINT');
    assert.equal(await serving.ended, 0);
  });

  test('a busy port is told with the way out, and ends with 1', async () => {
    const other = createServer();
    await new Promise<void>((resolve) => void other.listen(0, '127.0.0.1', resolve));
    const address = other.address();
    assert.ok(typeof address === 'object' && address !== null);
    const { port } = address;
    const serving = serve(['--listen', `localhost:${port}`]);
    assert.equal(await serving.ended, 1);
    assert.match(serving.errors(), new RegExp(`port ${port} of localhost is in use`));
    assert.match(serving.errors(), new RegExp(`--listen localhost:${port + 1}`));
    await new Promise((resolve) => void other.close(resolve));
  });

  test('a bad setting is told by name, and ends with 1', async () => {
    const serving = serve(['--listen', 'localhost:99999']);
    assert.equal(await serving.ended, 1);
    assert.match(serving.errors(), /listen/);
  });

  test('an admin reset left in the state folder is honoured once', async () => {
    const stateDir = mkdtempSync(join(folder, 'reset-'));
    writeFileSync(join(stateDir, 'admin-reset'), '');
    const serving = serve(['--listen', 'localhost:0'], stateDir);
    await serving.printed('claim#');
    assert.ok(!existsSync(join(stateDir, 'admin-reset')));
    serving.child.kill('SIGTERM');
    assert.equal(await serving.ended, 0);
  });
});

test('a signal that arrives twice at once is one wish; one that comes later is a second', async () => {
  let now = 0;
  const stop = awaitStop(() => now);
  try {
    process.emit('SIGTERM', 'SIGTERM');
    process.emit('SIGTERM', 'SIGTERM');
    assert.equal(await stop.first, 'SIGTERM');
    assert.equal(await Promise.race([stop.second, Promise.resolve('none')]), 'none');
    now = 500;
    process.emit('SIGINT', 'SIGINT');
    assert.equal(await stop.second, 'SIGINT');
  } finally {
    stop.forget();
  }
});

function statusOf(url: string): Promise<number> {
  return new Promise((resolve, reject) => {
    get(url, (response) => {
      response.resume();
      resolve(response.statusCode ?? 0);
    }).once('error', reject);
  });
}

let folder = '';
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-serve-'));
});
after(() => rmSync(folder, { recursive: true, force: true }));
