/**
 * Attacks on what administers and what watches: rights that ended, doors that take no tokens, rules
 * of others, a debugger. Each is tried on a real server.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startPostern as startProcess } from '../postern-process.ts';
import { startPostern, suiteEnd, type Postern } from './harness.ts';

const OPERATOR = 'break-glass-token-of-the-operator';
const AS_OPERATOR = { authorization: `Bearer ${OPERATOR}` };
const SERVE_HOST = 'postern.example.ts.net';

interface Minted {
  readonly id: string;
  readonly token: string;
}

/** A token of a service, minted by the operator. */
async function mint(postern: Postern, owner: string, scopes: readonly string[]): Promise<Minted> {
  const answer = await postern.call('/api/v1/tokens', {
    body: { name: 'attack', owner, scopes },
    headers: AS_OPERATOR,
  });
  assert.equal(answer.status, 201, answer.text);
  const { id, token } = answer.json();
  return { id: String(id), token: String(token) };
}

/** Opens the live events; `ended` resolves when the server ends them. */
function watchEvents(url: string, token: string): Promise<{ status: number; ended: Promise<number> }> {
  const began = performance.now();
  return new Promise((resolve, reject) => {
    const request = http.get(
      `${url}/api/v1/events`,
      { headers: { authorization: `Bearer ${token}` }, agent: false },
      (response) => {
        const ended = new Promise<number>((end) => {
          response.on('close', () => end(performance.now() - began));
        });
        response.on('error', () => {});
        response.once('data', () => resolve({ status: response.statusCode ?? 0, ended }));
        response.on('data', () => {});
      },
    );
    request.on('error', reject);
  });
}

/** A request as the proxy of `tailscale serve` would hand it on, over its socket. */
function throughServe(
  socketPath: string,
  path: string,
  headers: Record<string, string>,
): Promise<{ status: number; text: string }> {
  return new Promise((resolve, reject) => {
    const request = http.get(
      { socketPath, path, headers: { host: SERVE_HOST, ...headers }, agent: false },
      (response) => {
        let text = '';
        response.setEncoding('utf8');
        response.on('data', (chunk: string) => {
          text += chunk;
        });
        response.on('end', () => resolve({ status: response.statusCode ?? 0, text }));
      },
    );
    request.on('error', reject);
  });
}

describe('attacks on administration (DESIGN sections 4, 5 and 12)', () => {
  const suite = suiteEnd();
  let postern: Postern;
  let serveSocket: string;

  before(async () => {
    const stateDir = mkdtempSync(join(tmpdir(), 'postern-test-'));
    suite.after(() => rmSync(stateDir, { recursive: true, force: true }));
    serveSocket = join(stateDir, 'serve.sock');
    postern = await startPostern(suite, {
      stateDir,
      env: { POSTERN_ADMIN_TOKEN: OPERATOR },
      settings: { doors: { serve: { listen: serveSocket } }, hosts: [SERVE_HOST] },
      document: {
        providers: {
          lab: {
            baseurl: 'https://lab.example',
            models: ['open-1', 'secret-project-x'],
            compatibility: { openai_chat: true },
          },
        },
        grants: [
          {
            src: ['service:watcher'],
            app: { 'postern.dev/cap/gateway': [{ role: 'user', models: ['lab/open-1'] }] },
          },
          {
            src: ['ceo@corp.example', 'group:merger'],
            app: { 'postern.dev/cap/gateway': [{ role: 'user', models: ['lab/secret-project-x'] }] },
          },
        ],
        deny: [{ src: ['service:watcher'], models: ['lab/secret-project-x'] }],
      },
    });
  });
  after(() => suite.end());

  test('a revoked token sees no more live events, within a second (section 5)', async () => {
    const { id, token } = await mint(postern, 'service:watcher', ['read']);
    const stream = await watchEvents(postern.url, token);
    assert.equal(stream.status, 200);
    const before = performance.now();
    const revoked = await postern.call(`/api/v1/tokens/${id}`, { method: 'DELETE', headers: AS_OPERATOR });
    assert.equal(revoked.status, 204, revoked.text);
    const timeout = new Promise<'still open'>((resolve) => {
      setTimeout(() => resolve('still open'), 2000).unref();
    });
    assert.notEqual(await Promise.race([stream.ended, timeout]), 'still open');
    assert.ok(performance.now() - before < 1000);
  });

  test('the serve listener takes no token, the break-glass one included; Funnel least of all (section 4)', async () => {
    const ways: Record<string, string>[] = [
      { 'tailscale-funnel-request': '?1' },
      {},
      { 'tailscale-user-login': 'alice@corp.example' },
    ];
    for (const headers of ways) {
      const credentials: Record<string, string>[] = [
        AS_OPERATOR,
        { 'x-postern-authorization': `Bearer ${OPERATOR}` },
        { 'x-api-key': OPERATOR },
      ];
      for (const credential of credentials) {
        const answer = await throughServe(serveSocket, '/api/v1/audit', { ...headers, ...credential });
        assert.equal(answer.status, 403, `${JSON.stringify({ ...headers, ...credential })}: ${answer.text}`);
        assert.ok(!answer.text.includes('items'));
      }
    }
    assert.equal((await postern.call('/api/v1/audit', { headers: AS_OPERATOR })).status, 200);
  });

  test('explain tells a caller nothing of others: no names, no rules, no models', async () => {
    const { token } = await mint(postern, 'service:watcher', ['read', 'use']);
    const explain = (model: string, headers: Record<string, string>, subject?: unknown) =>
      postern.call('/api/v1/explain', {
        headers,
        body: { model, ...(subject === undefined ? {} : { subject }) },
      });
    const asWatcher = { authorization: `Bearer ${token}` };
    const texts: string[] = [];
    for (const model of ['lab/secret-project-x', 'lab/no-such-model', 'nobody/anything']) {
      const answer = await explain(model, asWatcher);
      assert.equal(answer.status, 200, answer.text);
      for (const secret of ['ceo@corp', 'merger', 'deny', 'model_unknown'])
        assert.ok(!answer.text.includes(secret), `${secret} in ${answer.text}`);
      assert.equal(answer.json()['reason'], 'not_granted');
      texts.push(answer.text.replaceAll(model, 'MODEL'));
    }
    assert.equal(new Set(texts).size, 1, 'an unknown and an ungranted model read the same');
    const allowed = await explain('open-1', asWatcher);
    assert.equal(allowed.json()['allowed'], true);
    assert.match(allowed.text, /grants\[0\]/);
    const auditors = await explain('lab/secret-project-x', AS_OPERATOR, {
      login: 'service:watcher',
      principal: 'service:watcher',
    });
    assert.match(auditors.text, /ceo@corp/);
    assert.match(auditors.text, /denied/);
  });

  test('a service is meant by its principal only, not by a login that reads like it', async () => {
    const answer = await postern.call('/api/v1/explain', {
      headers: AS_OPERATOR,
      body: { model: 'open-1', subject: { login: 'service:watcher', door: 'serve' } },
    });
    assert.equal(answer.json()['allowed'], false, answer.text);
  });

  test('a path that two parsers could take for two is refused before anybody asks who calls', async () => {
    for (const path of [
      '/api/v1/../../metrics',
      '/v1/../api/v1/audit',
      '/api/v1/%2e%2E/audit',
      '/healthz/.',
      '/v1/./models',
    ]) {
      const answer = await postern.call(path, { headers: AS_OPERATOR });
      assert.equal(answer.status, 400, path);
      assert.equal(answer.headers['x-postern-reason'], 'request_invalid', path);
    }
    assert.equal((await postern.call('/healthz?x=/../')).status, 200);
  });

  test('what a stranger writes forges no line of the log and fills none', async () => {
    const before = postern.logLines.length;
    const path = `/v1/${'x'.repeat(20_000)}`;
    const answer = await throughServe(serveSocket, path, {
      'tailscale-user-login': '=?utf-8?q?a=0A2026_error_forged?=',
    });
    assert.equal(answer.status, 403, answer.text);
    const lines = postern.logLines.slice(before);
    assert.ok(lines.length > 0);
    for (const line of lines) {
      assert.ok(line.length < 1000, `${line.length} characters`);
      assert.equal(line.indexOf('\n'), line.length - 1);
    }
  });
});

test('SIGUSR1 opens no debugger: a program of the same user does not become the server (section 5)', async (t) => {
  const server = await startProcess();
  t.after(() => server.stop());
  process.kill(server.pid, 'SIGUSR1');
  const deadline = Date.now() + 10_000;
  while (!/SIGUSR1|Debugger listening/.test(server.log())) {
    if (Date.now() > deadline) throw new Error(`nothing was said of the signal: ${server.log()}`);
    await new Promise((resolve) => {
      setTimeout(resolve, 20);
    });
  }
  assert.doesNotMatch(server.log(), /Debugger listening/);
  assert.equal((await server.cli(['version'])).code, 0);
});
