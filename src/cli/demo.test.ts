import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const LIMIT = { timeout: 60_000 };
const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'demo-cli-'));
after(() => rmSync(folder, { recursive: true, force: true }));

interface Ended {
  readonly code: number | null;
  readonly output: string;
  readonly errors: string;
}

/** Runs `postern demo`, and asks it to stop once it printed `until`. */
function demo(
  args: readonly string[],
  until: string,
  onPrinted: (output: string) => Promise<void>,
): Promise<Ended> {
  const child = spawn(process.execPath, ['--disable-warning=ExperimentalWarning', MAIN, 'demo', ...args], {
    env: { PATH: '/usr/bin:/bin', HOME: folder, TMPDIR: folder },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let [output, errors] = ['', ''];
  let isPrinted = false;
  child.stdout.setEncoding('utf8').on('data', (chunk: string) => {
    output += chunk;
    if (isPrinted || !output.includes(until)) return;
    isPrinted = true;
    const stop = (): void => void child.kill('SIGINT');
    onPrinted(output).then(stop, (error: unknown) => {
      errors += String(error);
      child.kill('SIGKILL');
    });
  });
  child.stderr.setEncoding('utf8').on('data', (chunk: string) => (errors += chunk));
  return new Promise((resolve) => {
    child.once('close', (code) => resolve({ code, output, errors }));
  });
}

const SMALL = ['--listen', 'localhost:0', '--requests', '5', '--days', '1'] as const;

describe('postern demo', LIMIT, () => {
  test('says that all is made up, gives the link to sign in, and leaves nothing behind', async () => {
    let stateDir = '';
    const ended = await demo([...SMALL, '--still'], 'Stop with Ctrl-C', async (output) => {
      stateDir = /state +(\S+)/.exec(output)?.[1] ?? '';
      assert.ok(existsSync(stateDir));
    });
    assert.equal(ended.code, 0, ended.errors);
    assert.match(ended.output, /Postern demo on http:\/\/127\.0\.0\.1:\d+/);
    assert.match(ended.output, /All of it is made up/);
    assert.match(ended.output, /http:\/\/localhost:\d+\/presence#[0-9a-z]+/);
    assert.ok(stateDir.startsWith(folder) && !existsSync(stateDir), 'the state is gone');
  });

  test('--json prints the same as one object, and the server says that it is a demo', async () => {
    let said: unknown = null;
    const ended = await demo([...SMALL, '--json'], '"pid"', async (output) => {
      const { url } = JSON.parse(output) as { readonly url: string };
      said = await (await fetch(`${url}/api/v1/whoami`)).json();
    });
    assert.equal(ended.code, 0, ended.errors);
    const facts = JSON.parse(ended.output) as Readonly<Record<string, unknown>>;
    assert.equal(facts['demo'], true);
    assert.ok(typeof said === 'object' && said !== null && 'demo' in said && said.demo === true);
  });

  test('another address than this machine, and numbers out of bounds, are refused', async () => {
    const beyond = await demo(['--listen', '0.0.0.0:0'], 'never', async () => undefined);
    assert.equal(beyond.code, 1);
    assert.match(beyond.errors, /this machine only/);
    const many = await demo(['--days', '91'], 'never', async () => undefined);
    assert.equal(many.code, 2);
    assert.match(many.errors, /from 1 to 90/);
  });
});
