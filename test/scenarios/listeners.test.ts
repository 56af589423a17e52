/** The listeners of this machine and the one behind `tailscale serve`, of a running server (DESIGN sections 4 and 5). */
import assert from 'node:assert/strict';
import http from 'node:http';
import https from 'node:https';
import { connect, type AddressInfo } from 'node:net';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { describe, test, type TestContext } from 'node:test';
import { startFakeTailscaled } from '../../src/doors/tailscaled/fake-local-api.ts';
import { TEST_AUTHORITY_CERT, TEST_CERT, TEST_KEY } from '../../src/net/test-certificates.ts';
import { modelThat } from '../upstream/index.ts';
import { ask, eventually, openAnswer, readAll, type AskOptions } from './ask.ts';
import { documentFor, startScene } from './fake-providers.ts';
import type { Postern } from './harness.ts';

const CAP = 'postern.dev/cap/gateway';
const DNS_NAME = 'gateway.tail1.ts.net';
const ALICE = { 'tailscale-user-login': 'alice@example.com', 'tailscale-user-name': 'Alice' };
const BOB = { 'tailscale-user-login': 'bob@example.com', 'tailscale-user-name': 'Bob' };
const FORWARDED = {
  host: DNS_NAME,
  'x-forwarded-for': '100.64.0.9',
  'x-forwarded-host': DNS_NAME,
  'x-forwarded-proto': 'https',
};
const HELLO = { model: 'gpt-5', messages: [{ role: 'user', content: 'hello' }] };

/** A document in which these logins may use every model. */
function openTo(...logins: readonly string[]): Record<string, unknown> {
  return {
    grants: [
      { src: ['(loopback)', ...logins], app: { [CAP]: [{ role: 'user', models: '**' }] } },
      { src: ['auditor@example.com'], app: { [CAP]: [{ role: 'auditor' }] } },
    ],
  };
}

interface ServeScene {
  readonly postern: Postern;
  readonly upstreamUrl: string;
  /** As `tailscale serve` would hand it on: the caller's Host kept, its identity in headers. */
  viaServe(who: Readonly<Record<string, string>>, options?: AskOptions): ReturnType<typeof ask>;
  readonly socketPath: string;
}

async function startBehindServe(
  t: TestContext,
  options: Parameters<typeof startScene>[1] = {},
): Promise<ServeScene> {
  const folder = mkdtempSync(join(tmpdir(), 'postern-serve-'));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const socketPath = join(folder, 'serve.sock');
  const { postern, upstream } = await startScene(t, {
    more: openTo('alice@example.com', 'bob@example.com'),
    ...options,
    flags: { serveListen: socketPath, host: [DNS_NAME], ...options.flags },
  });
  return {
    postern,
    upstreamUrl: upstream.url,
    socketPath,
    viaServe: (who, more = {}) =>
      ask('http://serve', { socketPath, ...more, headers: { ...FORWARDED, ...who, ...more.headers } }),
  };
}

describe('behind `tailscale serve`', () => {
  test('two people interleaved on one kept connection stay two, on every request', async (t) => {
    const { viaServe } = await startBehindServe(t);
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    t.after(() => agent.destroy());
    const sockets = new Set<unknown>();
    for (let i = 0; i < 3; i += 1) {
      const hers = (await viaServe(ALICE, { agent })).json();
      const his = (await viaServe(BOB, { agent })).json();
      assert.deepEqual(
        [hers['door'], hers['principal'], his['principal']],
        ['serve', 'tailscale:login:alice@example.com', 'tailscale:login:bob@example.com'],
      );
      await new Promise(setImmediate);
      sockets.add(Object.values(agent.freeSockets).flat()[0]);
    }
    assert.equal(sockets.size, 1, 'all went over one connection');
    assert.ok(!sockets.has(undefined));
    const nobody = await viaServe({}, { agent, path: '/v1/models' });
    assert.deepEqual(
      [nobody.status, nobody.headers['x-postern-reason']],
      [403, 'no_identity'],
      'nobody after them is nobody',
    );
    await Promise.all(
      [ALICE, BOB, ALICE, BOB].map((who) =>
        viaServe(who, { agent, path: '/v1/chat/completions', body: HELLO }),
      ),
    );
    const auditor = { 'tailscale-user-login': 'auditor@example.com', 'tailscale-user-name': 'Auditor' };
    const rows = await eventually(async () => {
      const { items } = (await viaServe(auditor, { path: '/api/v1/requests' })).json() as {
        items: Record<string, unknown>[];
      };
      return items.length >= 4 ? items : null;
    }, 'four recorded requests');
    const counted = Object.groupBy(rows, (row) => String(row['principal']));
    assert.deepEqual(
      new Map(Object.entries(counted).map(([principal, mine]) => [principal, mine?.length])),
      new Map([
        ['tailscale:login:alice@example.com', 2],
        ['tailscale:login:bob@example.com', 2],
      ]),
    );
  });

  test('serve’s headers are believed on its listener and nowhere else', async (t) => {
    const { viaServe, postern } = await startBehindServe(t);
    assert.equal((await viaServe(ALICE)).status, 200);
    const { host: _, ...proxied } = FORWARDED;
    assert.equal(
      (await ask(postern.url, { headers: { ...proxied, ...ALICE } })).status,
      401,
      'a proxied request is nobody on loopback',
    );
    const direct = await ask(postern.url, { headers: ALICE });
    assert.notEqual(direct.json()['door'], 'serve');
    assert.ok(!direct.text.includes('alice@example.com'), direct.text);
    const socket = await ask('http://localhost', {
      socketPath: postern.socketPath ?? '',
      headers: { host: 'localhost', ...ALICE },
    });
    assert.ok(!socket.text.includes('alice@example.com'));
  });

  test('Funnel, a name twice, and a name beside a token are refused', async (t) => {
    const { viaServe, socketPath } = await startBehindServe(t);
    assert.equal((await viaServe({ 'tailscale-funnel-request': '?1' })).status, 403);
    assert.equal((await viaServe({ ...ALICE, 'tailscale-funnel-request': '?1' })).status, 403);
    const twice = connect(socketPath);
    twice.end(
      `GET /api/v1/whoami HTTP/1.1\r\nhost: ${DNS_NAME}\r\nconnection: close\r\ntailscale-user-login: alice@example.com\r\ntailscale-user-login: bob@example.com\r\n\r\n`,
    );
    assert.match(await readAll(twice), /^HTTP\/1\.1 403/);
  });

  test('Host is what serve keeps: the MagicDNS name, learned from tailscaled or configured', async (t) => {
    const daemon = await startFakeTailscaled();
    t.after(() => daemon.close());
    const { viaServe } = await startBehindServe(t, {
      flags: { host: ['ai.example.net'], tailscaledSocket: daemon.socketPath },
    });
    /* Serve keeps `Host` towards a port, writes `localhost` towards a socket, and forwards the name in both cases. */
    const statusAt = async (name: string, host: string): Promise<number> =>
      (await viaServe(ALICE, { headers: { host, 'x-forwarded-host': name } })).status;
    for (const name of [DNS_NAME, `${DNS_NAME}:8443`, 'gateway', 'ai.example.net']) {
      assert.deepEqual([await statusAt(name, name), await statusAt(name, 'localhost')], [200, 200], name);
    }
    for (const name of ['evil.example', 'localhost', '127.0.0.1:8080', `evil.${DNS_NAME}`]) {
      assert.deepEqual([await statusAt(name, name), await statusAt(name, 'localhost')], [421, 421], name);
    }
  });

  test('a stream is cut when policy withdraws the right (within 30 s; a file within its next look)', async (t) => {
    const { postern, socketPath, upstreamUrl } = await startBehindServe(t);
    const stream = await openAnswer('http://serve', {
      socketPath,
      path: '/v1/chat/completions',
      headers: { ...FORWARDED, ...ALICE },
      body: { ...HELLO, model: modelThat('gpt-5', 'hang-mid-stream'), stream: true },
    });
    assert.equal(stream.status, 200);
    const ended = readAll(stream.body);
    const since = performance.now();
    writeFileSync(
      postern.documentFile,
      JSON.stringify(documentFor(upstreamUrl, { more: openTo('bob@example.com') })),
    );
    assert.match(await ended, /access_revoked/);
    assert.ok(performance.now() - since < 10_000);
  });
});

/** What browsers add to the requests that a page of another site can make by itself. */
const FROM_PAGES: readonly (readonly [string, AskOptions])[] = [
  ['a rebinding name', { headers: { host: 'evil.example' } }],
  [
    'a cross-site fetch',
    {
      method: 'POST',
      headers: {
        origin: 'https://evil.example',
        'sec-fetch-site': 'cross-site',
        'content-type': 'text/plain',
      },
    },
  ],
  [
    'a cross-site fetch without Fetch Metadata',
    { method: 'POST', headers: { origin: 'https://evil.example', 'content-type': 'text/plain' } },
  ],
  [
    'a form',
    {
      method: 'POST',
      headers: {
        origin: 'https://evil.example',
        'sec-fetch-site': 'cross-site',
        'sec-fetch-mode': 'navigate',
        'content-type': 'application/x-www-form-urlencoded',
      },
    },
  ],
  ['a sandboxed page', { method: 'POST', headers: { origin: 'null', 'content-type': 'text/plain' } }],
  [
    'an image',
    { headers: { 'sec-fetch-site': 'cross-site', 'sec-fetch-mode': 'no-cors', 'sec-fetch-dest': 'image' } },
  ],
  ['a page of a sibling name', { headers: { 'sec-fetch-site': 'same-site' } }],
  [
    'a preflight',
    {
      method: 'OPTIONS',
      headers: { origin: 'https://evil.example', 'access-control-request-method': 'POST' },
    },
  ],
];

test('no page of another site reaches the API or a model by a person’s ambient identity (DESIGN section 4)', async (t) => {
  const { postern, viaServe } = await startBehindServe(t);
  const before = (await postern.requests(0)).length;
  for (const path of [
    '/v1/chat/completions',
    '/v1/models',
    '/api/v1/whoami',
    '/api/v1/config',
    '/api/v1/events',
  ]) {
    for (const [what, options] of FROM_PAGES) {
      for (const answer of [
        await ask(postern.url, { ...options, path }),
        await viaServe(ALICE, { ...options, path }),
      ]) {
        assert.ok([403, 421].includes(answer.status), `${what} on ${path}: ${answer.status} ${answer.text}`);
        assert.equal(answer.headers['access-control-allow-origin'], undefined);
      }
    }
  }
  assert.equal((await postern.requests(0)).filter((row) => row['status'] === 200).length, before);
});

describe('on loopback', () => {
  test('a client that closed before the look-up is nobody: nothing is sent to a provider', async (t) => {
    const { postern, upstream } = await startScene(t);
    const { port, host } = new URL(postern.url);
    const body = JSON.stringify(HELLO);
    const socket = connect({ host: '127.0.0.1', port: Number(port) }, () => {
      socket.write(
        `POST /v1/chat/completions HTTP/1.1\r\nhost: ${host}\r\ncontent-type: application/json\r\ncontent-length: ${body.length}\r\n\r\n${body}`,
      );
      socket.destroy();
    });
    await eventually(
      () => postern.logLines.find((line) => line.includes('connection_owner_unknown')) ?? null,
      'the request is refused',
    );
    assert.equal(upstream.requests.length, 0);
  });

  test('an invalid Postern token ends the request, though the connection is known', async (t) => {
    const { postern } = await startScene(t);
    assert.equal((await ask(postern.url)).status, 200);
    const token = 'pst_0000000000000000000000000000000000000000000';
    for (const [name, value] of [
      ['x-postern-authorization', `Bearer ${token}`],
      ['authorization', `Bearer ${token}`],
      ['x-api-key', token],
    ] as const) {
      for (const path of ['/api/v1/whoami', '/v1/models']) {
        const answer = await ask(postern.url, { path, headers: { [name]: value } });
        assert.deepEqual(
          [answer.status, answer.headers['x-postern-reason'] ?? 'token_invalid'],
          [401, 'token_invalid'],
          answer.text,
        );
      }
    }
  });

  test('a JWT of the right issuer and a wrong tenant is a 401, and the right tenant is its subject', async (t) => {
    const { issuer, sign } = await startIssuer(t);
    const folder = mkdtempSync(join(tmpdir(), 'postern-issuer-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const caFile = join(folder, 'ca.pem');
    writeFileSync(caFile, TEST_AUTHORITY_CERT);
    const tenantClaim = { name: 'tenant', value: 'acme' };
    const { postern } = await startScene(t, {
      settings: {
        doors: {
          jwt: [
            { issuer, audience: ['postern'], algorithms: ['ES256'], jwksUrl: `${issuer}/keys`, tenantClaim },
          ],
        },
      },
      flags: { caFile: [caFile] },
      more: openTo('ci@acme.test'),
    });
    const whoami = async (tenant: string | null) =>
      ask(postern.url, { headers: { 'x-postern-authorization': `Bearer ${await sign(tenant)}` } });
    const right = await whoami('acme');
    assert.equal(right.status, 200, right.text);
    assert.deepEqual(
      [right.json()['door'], right.json()['via'], right.json()['label']],
      ['token', 'local', 'ci@acme.test'],
    );
    for (const tenant of ['evil', null, 'ACME']) {
      const wrong = await whoami(tenant);
      assert.equal(wrong.status, 401, `${tenant}: ${wrong.text}`);
      assert.ok(!wrong.text.includes('tenant'), 'strangers are not told what is missing');
    }
    assert.ok(postern.logLines.some((line) => line.includes('jwt_rejected')));
  });
});

/** An issuer of JWTs on loopback, with a certificate of the tests' own authority. */
async function startIssuer(
  t: TestContext,
): Promise<{ issuer: string; sign: (tenant: string | null) => Promise<string> }> {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const keys = JSON.stringify({
    keys: [{ ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' }],
  });
  const server = https.createServer({ cert: TEST_CERT, key: TEST_KEY }, (_, res) => {
    res.setHeader('content-type', 'application/json').end(keys);
  });
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  t.after(() => {
    server.closeAllConnections();
    server.close();
  });
  const issuer = `https://localhost:${(server.address() as AddressInfo).port}`;
  const sign = (tenant: string | null): Promise<string> =>
    new SignJWT({ email: 'ci@acme.test', email_verified: true, ...(tenant === null ? {} : { tenant }) })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .setIssuer(issuer)
      .setSubject('run-1')
      .setAudience('postern')
      .setIssuedAt()
      .setExpirationTime('5m')
      .sign(privateKey);
  return { issuer, sign };
}
