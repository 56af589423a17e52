/** The public listener of a running server: models only, with a token, over TLS (DESIGN section 4). */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { createSelfSignedCertificate } from '../../src/crypto/index.ts';
import { ask, openAnswer } from './ask.ts';
import { documentFor, PROVIDER_ENV, startScene, type Scene } from './fake-providers.ts';
import { startPostern } from './harness.ts';

/** Stands for the address of an interface; on Linux all of 127.0.0.0/8 is this machine's. */
const ADDRESS = '127.0.0.71';
const CAP = 'postern.dev/cap/gateway';
const BREAK_GLASS = 'break-glass-0123456789abcdef';
const HELLO = { model: 'gpt-5', messages: [{ role: 'user', content: 'hello' }] };
const SERVICE_GRANT = {
  grants: [
    { src: ['service:lan'], app: { [CAP]: [{ role: 'user', models: '**' }] } },
    { src: ['(loopback)'], app: { [CAP]: [{ role: 'user', models: '**' }] } },
  ],
};

interface PublicScene extends Scene {
  readonly url: string;
  readonly bearer: Readonly<Record<string, string>>;
}

async function startPublic(
  t: TestContext,
  options: Parameters<typeof startScene>[1] = {},
): Promise<PublicScene> {
  const scene = await startScene(t, {
    more: SERVICE_GRANT,
    networkAddresses: () => [ADDRESS],
    ...options,
    env: { POSTERN_ADMIN_TOKEN: BREAK_GLASS, ...options.env },
    flags: { lan: true, ...options.flags },
  });
  const url = scene.postern.addresses.find((address) => address.includes(ADDRESS));
  assert.ok(url, `open: ${scene.postern.addresses.join()}`);
  const minted = await ask(scene.postern.url, {
    path: '/api/v1/tokens',
    headers: { authorization: `Bearer ${BREAK_GLASS}` },
    body: { name: 'lan', owner: 'service:lan', scopes: ['use', 'read'] },
  });
  assert.equal(minted.status, 201, minted.text);
  return { ...scene, url, bearer: { authorization: `Bearer ${String(minted.json()['token'])}` } };
}

function trusted({ postern }: Scene): string {
  assert.ok(postern.certificate);
  return readFileSync(postern.certificate.file, 'utf8');
}

describe('the public listener', () => {
  test('serves models to who has a token, over TLS with a certificate of its own', async (t) => {
    const scene = await startPublic(t);
    const { url, bearer, postern } = scene;
    assert.match(url, /^https:/);
    const ca = trusted(scene);
    const chat = await ask(url, { ca, path: '/v1/chat/completions', headers: bearer, body: HELLO });
    assert.equal(chat.status, 200, chat.text);
    const { certificate } = await openAnswer(url, { ca, path: '/v1/models', headers: bearer });
    assert.equal(certificate, postern.certificate?.fingerprint);
    const key = postern.certificate?.file.replace('-cert', '-key') ?? '';
    assert.equal(statSync(key).mode & 0o777, 0o600);
    await assert.rejects(ask(url, { path: '/v1/models', headers: bearer }), 'nobody trusts it unasked');
    const plain = await ask(url.replace('https:', 'http:'), { path: '/v1/models', headers: bearer }).catch(
      () => null,
    );
    assert.ok(plain === null || plain.status === 400, 'HTTP on that port is no request');
  });

  test('knows nobody without a token, a local process included', async (t) => {
    const scene = await startPublic(t);
    const ca = trusted(scene);
    const nothingValid: readonly Readonly<Record<string, string>>[] = [
      {},
      { 'tailscale-user-login': 'alice@example.com' },
      { authorization: 'Bearer sk-something' },
      { authorization: 'Bearer pst_0000000000000000000000000000000000000000000' },
    ];
    for (const headers of nothingValid) {
      const answer = await ask(scene.url, { ca, path: '/v1/chat/completions', headers, body: HELLO });
      assert.equal(answer.status, 401, answer.text);
    }
    assert.equal(scene.upstream.requests.length, 0);
  });

  test('has no API, no pages and no presence, not even for the break-glass token', async (t) => {
    const scene = await startPublic(t);
    const ca = trusted(scene);
    for (const path of [
      '/',
      '/claim',
      '/presence',
      '/readyz',
      '/metrics',
      '/api/v1/whoami',
      '/api/v1/tokens',
      '/aperture/config',
      '/assets/home.js',
      '/api/providers',
    ]) {
      for (const headers of [scene.bearer, { authorization: `Bearer ${BREAK_GLASS}` }]) {
        const answer = await ask(scene.url, { ca, path, headers });
        assert.deepEqual([answer.status, answer.headers['x-postern-reason']], [404, 'path_unknown'], path);
      }
    }
    assert.equal((await ask(scene.url, { ca, path: '/healthz' })).status, 200);
  });

  test('Host is its address with the port, or a configured name; a page elsewhere is refused', async (t) => {
    const scene = await startPublic(t, { flags: { publicUrl: 'https://ai.example.net' } });
    const { url, bearer } = scene;
    const ca = trusted(scene);
    const { port } = new URL(url);
    for (const host of ['ai.example.net', `ai.example.net:${port}`, `${ADDRESS}:${port}`]) {
      assert.equal(
        (
          await ask(url, {
            ca,
            path: '/v1/models',
            headers: { ...bearer, host },
            servername: 'ai.example.net',
          })
        ).status,
        200,
        host,
      );
    }
    for (const host of ['evil.example', 'localhost', `localhost:${port}`]) {
      assert.equal(
        (
          await ask(url, {
            ca,
            path: '/v1/models',
            headers: { ...bearer, host },
            servername: 'ai.example.net',
          })
        ).status,
        421,
        host,
      );
    }
    const page = await ask(url, {
      ca,
      path: '/v1/models',
      headers: { ...bearer, origin: 'https://evil.example' },
    });
    assert.equal(page.status, 403);
  });

  test('its certificate is made once, and again only for a name that it lacks', async (t) => {
    const first = await startPublic(t);
    const { stateDir } = first.postern;
    const made = first.postern.certificate;
    await first.postern.stop();
    const again = (flags: Record<string, unknown>) =>
      startPostern(t, {
        stateDir,
        document: documentFor(first.upstream.url),
        env: PROVIDER_ENV,
        flags: { lan: true, ...flags },
        networkAddresses: () => [ADDRESS, '127.0.0.72'],
      });
    const second = await again({});
    assert.deepEqual(
      [second.certificate?.fingerprint, second.certificate?.isNew],
      [made?.fingerprint, false],
    );
    await second.stop();
    const third = await again({ publicUrl: 'https://ai.example.net' });
    assert.notEqual(third.certificate?.fingerprint, made?.fingerprint);
    assert.equal(third.certificate?.isNew, true);
  });

  test('uses files of the operator’s own, and their renewal', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'postern-tls-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const now = Date.now();
    const own = createSelfSignedCertificate({
      commonName: 'ai.example.net',
      names: ['ai.example.net'],
      addresses: [],
      notBefore: now - 60_000,
      notAfter: now + 3_600_000,
    });
    const [tlsCert, tlsKey] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    writeFileSync(tlsCert, own.cert);
    writeFileSync(tlsKey, own.key);
    const scene = await startPublic(t, { flags: { tlsCert, tlsKey } });
    assert.equal(scene.postern.certificate, null);
    const answer = await ask(scene.url, {
      ca: own.cert,
      servername: 'ai.example.net',
      path: '/v1/models',
      headers: scene.bearer,
    });
    assert.equal(answer.status, 200);
    assert.match(scene.postern.url, /^http:/, 'loopback needs none');
  });

  test('is closed unless somebody asked for it', async (t) => {
    const { postern } = await startScene(t, { networkAddresses: () => [ADDRESS] });
    assert.ok(postern.addresses.every((address) => !address.includes(ADDRESS)));
    const { port } = new URL(postern.url);
    await assert.rejects(ask(`http://${ADDRESS}:${port}`, { path: '/v1/models' }), { code: 'ECONNREFUSED' });
  });

  test('a listen address beyond loopback is public; loopback stays open beside it, for administration', async (t) => {
    /* A port that the system gave: the address and loopback are to have the same one. */
    const port = await freePort();
    const scene = await startPublic(t, {
      flags: { lan: false, publicUrl: 'https://ai.example.net', listen: `0.0.0.0:${port}` },
    });
    assert.equal(new URL(scene.url).port, String(port));
    assert.equal((await ask(scene.postern.url)).json()['door'], 'local');
  });

  test('HTTP without TLS only by the setting that says how dangerous it is', async (t) => {
    const settings = { dangerouslyAllowPlainHttp: true };
    const scene = await startPublic(t, { settings, flags: { publicUrl: 'http://ai.example.net' } });
    assert.match(scene.url, /^http:/);
    assert.equal((await ask(scene.url, { path: '/v1/models', headers: scene.bearer })).status, 200);
    assert.equal((await ask(scene.url, { path: '/v1/models' })).status, 401);
  });
});

async function freePort(): Promise<number> {
  const server = http.createServer();
  await new Promise<void>((resolve) => void server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  assert.ok(address !== null && typeof address === 'object');
  await new Promise((resolve) => void server.close(resolve));
  return address.port;
}
