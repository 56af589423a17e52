import assert from 'node:assert/strict';
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, afterEach, before, beforeEach, describe, test } from 'node:test';
import { brotliCompressSync, brotliDecompressSync, gunzipSync, gzipSync } from 'node:zlib';
import { createLogger } from '../../base/log.ts';
import { caller, startTestApi, type TestApi } from '../test-api.ts';
import { CONSOLE_PATHS, isPagePath } from './addresses.ts';
import { loadConsole } from './bundle.ts';

const user = caller('local:1');
const SCRIPT = `console.log(${JSON.stringify('x'.repeat(2_000))})`;
const PAGE = `<!doctype html><meta property="csp-nonce" nonce="POSTERN_NONCE"><script type="module" src="/assets/index-1a.js" nonce="POSTERN_NONCE"></script>`;
const ADDRESSES = CONSOLE_PATHS.map((path) => path.replaceAll(/\{\w+\}/g, 'some%2Fthing'));

let folder: string;
before(() => {
  folder = mkdtempSync(join(tmpdir(), 'postern-console-'));
  mkdirSync(join(folder, 'assets'));
  writeFileSync(join(folder, 'index.html'), PAGE);
  writeFileSync(join(folder, 'assets', 'index-1a.js'), SCRIPT);
  writeFileSync(join(folder, 'assets', 'index-1a.js.br'), brotliCompressSync(SCRIPT));
  writeFileSync(join(folder, 'assets', 'index-1a.js.gz'), gzipSync(SCRIPT));
  writeFileSync(join(folder, 'assets', 'index-1a.js.map'), '{}');
});
after(() => rmSync(folder, { recursive: true, force: true }));

describe('hosting of the console (DESIGN section 8)', () => {
  let t: TestApi;
  beforeEach(async () => {
    t = await startTestApi({ consoleDir: folder });
  });
  afterEach(() => t.close());

  test('every address answers with the one page, whose policy admits only what it names by a fresh nonce', async () => {
    const nonces = new Set<string>();
    for (const path of ADDRESSES) {
      const page = await t.send(user, 'GET', path);
      assert.equal(page.status, 200, path);
      const policy = String(page.headers['content-security-policy']);
      const nonce =
        /script-src 'nonce-(\w{32})'; style-src 'nonce-\1'; connect-src 'self'/.exec(policy)?.[1] ?? '';
      nonces.add(nonce);
      assert.match(policy, /^default-src 'none'; /);
      for (const rule of [
        "img-src 'self' data:",
        "base-uri 'none'",
        "form-action 'self'",
        "frame-ancestors 'none'",
        "trusted-types 'none'",
      ])
        assert.ok(policy.includes(rule), rule);
      assert.doesNotMatch(policy, /unsafe|\*|script-src[^;]*'self'/);
      assert.equal(page.text, PAGE.replaceAll('POSTERN_NONCE', nonce));
      assert.equal(page.headers['cache-control'], 'no-cache');
      assert.equal(page.headers['x-content-type-options'], 'nosniff');
      assert.equal(page.headers['referrer-policy'], 'no-referrer');
      assert.equal(page.headers['cross-origin-opener-policy'], 'same-origin');
    }
    assert.equal(nonces.size, ADDRESSES.length);
  });

  test('without identity there is neither page nor file', async () => {
    for (const path of [...ADDRESSES, '/assets/index-1a.js'])
      assert.equal((await t.send(null, 'GET', path)).status, 401, path);
  });

  test('addresses are a closed list, and the same list decides what a link may open', async () => {
    for (const path of [...ADDRESSES, '/claim', '/presence']) assert.ok(isPagePath(path), path);
    const others = ['/sessions/a/b', '/live/x', '/nothing', '/settings/a/b/c', '//live', '/v1/models'];
    for (const path of others) {
      assert.equal(isPagePath(path), false, path);
      assert.equal((await t.send(user, 'GET', path)).status, 404, path);
    }
    assert.equal(isPagePath('/sessions/'), false);
  });

  test('a file is sent compressed as the client accepts, is kept for ever, and is revalidated by its tag', async () => {
    const get = (headers: Record<string, string>) => t.send(user, 'GET', '/assets/index-1a.js', { headers });
    const plain = await get({});
    assert.equal(plain.text, SCRIPT);
    assert.equal(plain.headers['content-type'], 'text/javascript; charset=utf-8');
    assert.equal(plain.headers['cache-control'], 'private, max-age=31536000, immutable');
    assert.equal(plain.headers['vary'], 'accept-encoding');
    for (const [accepted, coding] of [
      ['gzip, deflate, br', 'br'],
      ['gzip', 'gzip'],
      ['br;q=0, gzip', 'gzip'],
      ['identity', undefined],
    ] as const)
      assert.equal(
        (await get({ 'accept-encoding': accepted })).headers['content-encoding'],
        coding,
        accepted,
      );
    const etag = String(plain.headers['etag']);
    for (const given of [etag, `W/${etag}`, `"other", ${etag}`])
      assert.equal((await get({ 'if-none-match': given })).status, 304);
    assert.equal((await get({ 'if-none-match': '"other"' })).status, 200);
  });

  test('the compressed forms are those of the file', () => {
    const asset = loadConsole(folder).assets.get('index-1a.js');
    assert.ok(asset !== undefined);
    assert.equal(brotliDecompressSync(asset.coded.get('br') ?? Buffer.alloc(0)).toString(), SCRIPT);
    assert.equal(gunzipSync(asset.coded.get('gzip') ?? Buffer.alloc(0)).toString(), SCRIPT);
  });

  test('files are a closed list: nothing of the disk is named by a request', async () => {
    for (const name of [
      'index-1a.js.br',
      'index-1a.js.map',
      '..%2findex.html',
      '%2e%2e%2findex.html',
      'constructor',
      '__proto__',
      'x'.repeat(300),
    ]) {
      const { status } = await t.send(user, 'GET', `/assets/${name}`);
      assert.ok(status === 404 || status === 400, `${name}: ${status}`);
    }
  });
});

describe('without a built console', () => {
  test('its addresses say so, the API works, and the log has the reason', async () => {
    const lines: string[] = [];
    const logger = createLogger({
      format: 'text',
      level: 'warn',
      write: (line) => lines.push(line),
      now: Date.now,
    });
    const t = await startTestApi({ consoleDir: join(folder, 'nowhere'), logger });
    try {
      for (const path of ['/', '/approvals/apr_1']) {
        const page = await t.send(user, 'GET', path);
        assert.equal(page.status, 503);
        assert.match(page.text, /its console is not built/);
        assert.doesNotMatch(page.text, /<script/);
      }
      assert.equal((await t.send(user, 'GET', '/api/v1/whoami')).status, 200);
      assert.equal((await t.send(null, 'GET', '/')).status, 401);
      assert.match(lines.join('\n'), /the console is not built/);
    } finally {
      await t.close();
    }
  });

  test('a build that lacks a file, or a place for the nonce, is refused whole', () => {
    const broken = mkdtempSync(join(tmpdir(), 'postern-console-'));
    try {
      mkdirSync(join(broken, 'assets'));
      writeFileSync(join(broken, 'index.html'), PAGE);
      assert.throws(() => loadConsole(broken), /lacks index-1a\.js; build it again/);
      writeFileSync(join(broken, 'assets', 'index-1a.js'), SCRIPT);
      writeFileSync(join(broken, 'index.html'), '<!doctype html>');
      assert.throws(() => loadConsole(broken), /no place for a nonce/);
    } finally {
      rmSync(broken, { recursive: true, force: true });
    }
  });
});
