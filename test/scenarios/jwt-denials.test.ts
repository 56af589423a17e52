/** The deny-list of JWTs (DESIGN section 5): what an issuer signed is refused at once, its streams are cut, also after a restart. */
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import assert from 'node:assert/strict';
import https from 'node:https';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { test, type TestContext } from 'node:test';
import { TEST_AUTHORITY_CERT, TEST_CERT, TEST_KEY } from '../../src/net/test-certificates.ts';
import { modelThat, startFakeUpstream } from '../upstream/index.ts';
import { documentFor, PROVIDER_ENV } from './fake-providers.ts';
import { startPostern, type Postern, type PosternOptions } from './harness.ts';
import { connectRaw, statusOf, wholeRequest, type RawConnection } from './raw-client.ts';

const ADMIN_TOKEN = 'break-glass-token-of-this-test-0123456789';
const OPERATOR = { authorization: `Bearer ${ADMIN_TOKEN}` };
const CUT_WITHIN_MS = 1000;

interface Issuer {
  readonly issuer: string;
  sign(subject: string, jti: string): Promise<string>;
}

/** An issuer of JWTs on loopback, with a certificate of the tests' own authority. */
async function startIssuer(t: TestContext): Promise<Issuer> {
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
  return {
    issuer,
    sign: (subject, jti) =>
      new SignJWT({ tenant: 'acme', jti })
        .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
        .setIssuer(issuer)
        .setSubject(subject)
        .setAudience('postern')
        .setIssuedAt()
        .setExpirationTime('1h')
        .sign(privateKey),
  };
}

async function beginStream(t: TestContext, postern: Postern, jwt: string): Promise<RawConnection> {
  const connection = await connectRaw(t, postern.url);
  const body = {
    model: modelThat('gpt-5', 'slow', 'long'),
    messages: [{ role: 'user', content: 'hello' }],
    stream: true,
  };
  await connection.send(
    wholeRequest(postern.url, JSON.stringify(body), {
      target: '/v1/chat/completions',
      headers: ['Connection: close', `X-Postern-Authorization: Bearer ${jwt}`],
    }),
  );
  const text = await connection.until((received) => received.includes('data:'));
  assert.equal(statusOf(text), 200, text);
  return connection;
}

async function isCut(connection: RawConnection): Promise<void> {
  const from = performance.now();
  const text = await connection.closed(3 * CUT_WITHIN_MS);
  assert.ok(performance.now() - from < CUT_WITHIN_MS);
  assert.match(text.split('data: ').at(-1) ?? '', /access_revoked/);
}

test('a denied JWT is refused at once and its streams are cut, and no other; also after a restart', async (t) => {
  const { issuer, sign } = await startIssuer(t);
  const upstream = await startFakeUpstream();
  t.after(() => upstream.close());
  const stateDir = mkdtempSync(join(tmpdir(), 'postern-jwt-'));
  t.after(() => rmSync(stateDir, { recursive: true, force: true }));
  const caFile = join(stateDir, 'ca.pem');
  writeFileSync(caFile, TEST_AUTHORITY_CERT);
  const grant = (src: string): object => ({
    src: [src],
    app: { 'postern.dev/cap/gateway': [{ role: 'user', models: '**' }] },
  });
  const options: PosternOptions = {
    document: documentFor(upstream.url, { more: { grants: [grant('run-1'), grant('run-2')] } }),
    settings: {
      doors: {
        jwt: [
          {
            issuer,
            audience: ['postern'],
            algorithms: ['ES256'],
            jwksUrl: `${issuer}/keys`,
            tenantClaim: { name: 'tenant', value: 'acme' },
          },
        ],
      },
    },
    env: { ...PROVIDER_ENV, POSTERN_ADMIN_TOKEN: ADMIN_TOKEN },
    flags: { allowUpstream: '127.0.0.0/8', caFile: [caFile] },
    stateDir,
  };
  const again = (): Promise<Postern> => startPostern(t, options);

  const postern = await again();
  const whoami = async (at: Postern, jwt: string): Promise<number> =>
    (await at.call('/api/v1/whoami', { headers: { 'x-postern-authorization': `Bearer ${jwt}` } })).status;
  const deny = async (body: object): Promise<void> => {
    const denied = await postern.call('/api/v1/jwt-denials', { body, headers: OPERATOR });
    assert.equal(denied.status, 201, denied.text);
  };
  const [one, two, three] = [await sign('run-1', 'j1'), await sign('run-1', 'j2'), await sign('run-2', 'j3')];

  const streams = [await beginStream(t, postern, one), await beginStream(t, postern, two)] as const;
  await deny({ issuer, jti: 'j1' });
  await isCut(streams[0]);
  assert.equal(await whoami(postern, one), 401);
  assert.equal(await whoami(postern, two), 200);

  const other = await beginStream(t, postern, three);
  await deny({ issuer, subject: 'run-1', issued_before: new Date(Date.now() + 5_000).toISOString() });
  await isCut(streams[1]);
  const seen = other.received().length;
  await other.until(() => other.received().length > seen);
  assert.equal(await whoami(postern, three), 200);

  const mine = await postern.call('/api/v1/whoami', {
    headers: { 'x-postern-authorization': `Bearer ${three}` },
  });
  const { token } = mine.json() as { token: { id: string } };
  await deny({ token_id: token.id });
  await isCut(other);
  const unknown = await postern.call('/api/v1/jwt-denials', {
    body: { issuer: 'https://typo.example', jti: 'j' },
    headers: OPERATOR,
  });
  assert.equal(unknown.status, 400, unknown.text);
  await postern.stop();

  const restarted = await again();
  for (const jwt of [one, two, three]) assert.equal(await whoami(restarted, jwt), 401);
  assert.equal(await whoami(restarted, await sign('run-2', 'j4')), 200);
  const listed = await restarted.call('/api/v1/jwt-denials', { headers: OPERATOR });
  assert.equal((listed.json()['items'] as unknown[]).length, 3);
});
