/**
 * The tailnet listener and the door `tailscaled` of a running server (DESIGN sections 4 and 5). The
 * tailscaled is a fake that speaks the LocalAPI; addresses of 127.0.0.0/8 stand for the tailnet's.
 */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test, type TestContext } from 'node:test';
import { createSelfSignedCertificate } from '../../src/crypto/index.ts';
import {
  type FakeTailscaled,
  person,
  startFakeTailscaled,
} from '../../src/doors/tailscaled/fake-local-api.ts';
import { modelThat } from '../upstream/index.ts';
import { ask, eventually, openAnswer, readAll } from './ask.ts';
import { documentFor, PROVIDER_ENV, startScene } from './fake-providers.ts';
import { startPostern, type Postern } from './harness.ts';

/** This host on the tailnet, and a peer. */
const HOST = '127.0.0.61';
const ALICE = '127.0.0.62';
const DNS_NAME = 'gateway.tail1.ts.net';
const CAP = 'postern.dev/cap/gateway';
const HELLO = { model: 'gpt-5', messages: [{ role: 'user', content: 'hello' }] };
const MINUTE_MS = 60_000;

async function startDaemon(t: TestContext, at?: string): Promise<FakeTailscaled> {
  const daemon = await startFakeTailscaled(at);
  t.after(() => daemon.close());
  daemon.ownAddresses.splice(0, 2, HOST);
  daemon.peers.set(ALICE, person({ address: ALICE }));
  return daemon;
}

function flagsFor(socketPath: string): Record<string, unknown> {
  return {
    tailscaled: true,
    tailscaledSocket: socketPath,
    tailscaledHttpPort: '0',
    tailscaledHttpsPort: '0',
  };
}

/** Callers of the tailnet may use every model. */
const OPEN_TO_TAILNET = {
  grants: [
    { src: ['*'], app: { [CAP]: [{ role: 'user', models: '**' }] } },
    { src: ['(loopback)'], app: { [CAP]: [{ role: 'user', models: '**' }] } },
  ],
};

/** The URL of the tailnet listener, once it is open. */
function tailnetUrl(postern: Postern, scheme = 'http', host = HOST): Promise<string> {
  return eventually(
    () => postern.addresses.find((address) => address.startsWith(`${scheme}://${host}:`)) ?? null,
    `${scheme} on ${host}; open: ${postern.addresses.join()}`,
  );
}

function certificateFor(
  name: string,
  lifeMs = 60 * MINUTE_MS,
): { readonly cert: string; readonly key: string } {
  const now = Date.now();
  return createSelfSignedCertificate({
    commonName: name,
    names: [name],
    addresses: [],
    notBefore: now - MINUTE_MS,
    notAfter: now + lifeMs,
  });
}

describe('the tailnet listener', () => {
  test('a peer is who the network says; a call from this host, by own address or loopback, is local', async (t) => {
    const daemon = await startDaemon(t);
    const { postern } = await startScene(t, { more: OPEN_TO_TAILNET, flags: flagsFor(daemon.socketPath) });
    const url = await tailnetUrl(postern);
    const alice = (await ask(url, { from: ALICE })).json();
    assert.deepEqual([alice['door'], alice['principal']], ['tailscaled', 'tailscale:userid:7001']);
    const self = (await ask(url, { from: HOST })).json();
    assert.deepEqual([self['door'], self['principal']], ['local', postern.me]);
    const loopback = (await ask(postern.url)).json();
    assert.deepEqual([loopback['door'], loopback['principal']], ['local', postern.me]);
    assert.deepEqual(
      daemon.whoisCalls.filter((address) => !address.startsWith(ALICE)),
      [],
      'own addresses are not asked about',
    );
    const chat = await ask(url, { from: ALICE, path: '/v1/chat/completions', body: HELLO });
    assert.equal(chat.status, 200, chat.text);
  });

  test('a shared-in device, a bad token of a good device, and a tailscaled that fails are refused', async (t) => {
    const daemon = await startDaemon(t);
    const { postern } = await startScene(t, { more: OPEN_TO_TAILNET, flags: flagsFor(daemon.socketPath) });
    const url = await tailnetUrl(postern);
    daemon.peers.set(
      '127.0.0.63',
      person({ address: '127.0.0.63', stableId: 'nShared', node: { Sharer: 9001 } }),
    );
    const sharedIn = await ask(url, { from: '127.0.0.63', path: '/v1/models' });
    assert.deepEqual([sharedIn.status, sharedIn.headers['x-postern-reason']], [403, 'no_identity']);
    assert.ok(postern.logLines.some((line) => line.includes('device_shared_in')));
    const headers = { 'x-postern-authorization': 'Bearer pst_0000000000000000000000000000000000000000000' };
    const invalid = await ask(url, { from: ALICE, headers });
    assert.deepEqual([invalid.status, invalid.headers['x-postern-reason']], [401, 'token_invalid']);
    daemon.broken = { status: 500, body: 'x' };
    const unknown = await ask(url, { from: '127.0.0.66', path: '/v1/models' });
    assert.deepEqual([unknown.status, unknown.headers['x-postern-reason']], [403, 'no_identity']);
  });

  test('Host is a name or address of the device, with its port or without; any other is 421', async (t) => {
    const daemon = await startDaemon(t);
    const { postern } = await startScene(t, {
      more: OPEN_TO_TAILNET,
      flags: { ...flagsFor(daemon.socketPath), host: ['ai.example.net'] },
    });
    const url = await tailnetUrl(postern);
    const { port } = new URL(url);
    for (const name of [DNS_NAME, 'gateway', HOST, 'ai.example.net', 'GATEWAY.tail1.ts.net']) {
      for (const host of [name, `${name}:${port}`]) {
        assert.equal((await ask(url, { from: ALICE, headers: { host } })).status, 200, host);
      }
    }
    for (const host of [
      'localhost',
      `localhost:${port}`,
      'evil.example',
      'gateway.tail2.ts.net',
      `${DNS_NAME}.evil.example`,
    ]) {
      const answer = await ask(url, { from: ALICE, headers: { host } });
      assert.deepEqual([answer.status, answer.headers['x-postern-reason']], [421, 'host_unknown'], host);
    }
  });

  test('opens when tailscaled comes up, and follows its addresses', async (t) => {
    const folder = mkdtempSync(join(tmpdir(), 'tailscaled-late-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const socketPath = join(folder, 'tailscaled.sock');
    const { postern } = await startScene(t, { more: OPEN_TO_TAILNET, flags: flagsFor(socketPath) });
    assert.ok(postern.logLines.some((line) => line.includes('tailscaled does not answer')));
    assert.ok(
      postern.addresses.every((address) => !address.includes('://')),
      'nothing of the tailnet is open',
    );
    const daemon = await startDaemon(t, socketPath);
    const first = await tailnetUrl(postern);
    assert.equal((await ask(first, { from: ALICE })).status, 200);
    const moved = '127.0.0.64';
    daemon.ownAddresses.splice(0, 1, moved);
    daemon.notify({ SelfChange: {} });
    const second = await tailnetUrl(postern, 'http', moved);
    assert.equal((await ask(second, { from: ALICE })).status, 200);
    await assert.rejects(ask(first, { from: ALICE }), { code: 'ECONNREFUSED' });
  });

  test('a tailscaled without a network device hands peers on to loopback: they are themselves, not its user', async (t) => {
    const daemon = await startDaemon(t);
    daemon.userspace = true;
    const { postern } = await startScene(t, { more: OPEN_TO_TAILNET, flags: flagsFor(daemon.socketPath) });
    const peer = (
      await ask(postern.url, { from: ALICE, headers: { host: `${DNS_NAME}:${new URL(postern.url).port}` } })
    ).json();
    assert.equal(peer['principal'], 'tailscale:userid:7001');
    assert.equal((await ask(postern.url)).json()['principal'], postern.me);
    assert.ok(postern.addresses.every((address) => !address.includes('://')));
  });
});

describe('HTTPS on the tailnet', () => {
  test("uses the tailnet's certificate, and its renewal without a restart", async (t) => {
    const daemon = await startDaemon(t);
    /* A sixth of 12 s passes before it is asked for again. */
    const old = certificateFor(DNS_NAME, 12_000);
    daemon.certificates.set(DNS_NAME, old);
    const { postern } = await startScene(t, { more: OPEN_TO_TAILNET, flags: flagsFor(daemon.socketPath) });
    const url = await tailnetUrl(postern, 'https');
    const options = { from: ALICE, servername: DNS_NAME, headers: { host: DNS_NAME } };
    const whoami = await ask(url, { ...options, ca: old.cert });
    assert.deepEqual([whoami.status, whoami.json()['door']], [200, 'tailscaled']);
    const renewed = certificateFor(DNS_NAME);
    daemon.certificates.set(DNS_NAME, renewed);
    const second = await eventually(
      () => ask(url, { ...options, ca: renewed.cert }).catch(() => null),
      'the renewed certificate is in use',
    );
    assert.equal(second.status, 200);
  });

  test('own files serve the names that they bear; tailscaled is not asked for those', async (t) => {
    const daemon = await startDaemon(t);
    const folder = mkdtempSync(join(tmpdir(), 'postern-tls-'));
    t.after(() => rmSync(folder, { recursive: true }));
    const own = certificateFor(DNS_NAME);
    const [tlsCert, tlsKey] = [join(folder, 'cert.pem'), join(folder, 'key.pem')];
    writeFileSync(tlsCert, own.cert);
    writeFileSync(tlsKey, own.key);
    daemon.certificates.set(DNS_NAME, certificateFor(DNS_NAME));
    const flags = { ...flagsFor(daemon.socketPath), tlsCert, tlsKey };
    const { postern } = await startScene(t, { more: OPEN_TO_TAILNET, flags });
    const url = await tailnetUrl(postern, 'https');
    const answer = await ask(url, {
      from: ALICE,
      servername: DNS_NAME,
      headers: { host: DNS_NAME },
      ca: own.cert,
    });
    assert.equal(answer.status, 200);
    assert.deepEqual(daemon.certificateCalls, []);
    writeFileSync(tlsKey, certificateFor(DNS_NAME).key);
    const document = documentFor('http://127.0.0.1:9');
    await assert.rejects(startPostern(t, { document, env: PROVIDER_ENV, flags }), {
      code: 'tls_files_invalid',
    });
  });

  test('a network without certificates leaves HTTP', async (t) => {
    const daemon = await startDaemon(t);
    const { postern } = await startScene(t, { more: OPEN_TO_TAILNET, flags: flagsFor(daemon.socketPath) });
    await tailnetUrl(postern);
    assert.deepEqual(daemon.certificateCalls, []);
    assert.ok(postern.addresses.every((address) => !address.startsWith('https:')));
  });
});

describe('a right on the tailnet that ends, ends the open stream within a second (DESIGN section 5)', () => {
  const withdrawals: readonly (readonly [string, (daemon: FakeTailscaled) => void])[] = [
    ['the device was removed', (daemon) => void daemon.peers.delete(ALICE)],
    [
      'the device belongs to another person',
      (daemon) => void daemon.peers.set(ALICE, person({ address: ALICE, userId: 7002 })),
    ],
    [
      'the network’s policy took the capability',
      (daemon) => void daemon.peers.set(ALICE, person({ address: ALICE, caps: {} })),
    ],
  ];
  for (const [what, withdraw] of withdrawals) {
    test(what, async (t) => {
      const daemon = await startDaemon(t);
      const caps = { [CAP]: [{ role: 'user', models: '**' }] };
      daemon.peers.set(ALICE, person({ address: ALICE, caps }));
      const bob = '127.0.0.65';
      daemon.peers.set(
        bob,
        person({ address: bob, stableId: 'nBob', userId: 7005, login: 'bob@example.com', caps }),
      );
      const { postern } = await startScene(t, { flags: flagsFor(daemon.socketPath) });
      const url = await tailnetUrl(postern);
      const streamOf = (from: string) =>
        openAnswer(url, {
          from,
          path: '/v1/chat/completions',
          body: { ...HELLO, model: modelThat('gpt-5', 'hang-mid-stream'), stream: true },
        });
      const [hers, his] = [await streamOf(ALICE), await streamOf(bob)];
      assert.deepEqual([hers.status, his.status], [200, 200]);
      let isHisOpen = true;
      void readAll(his.body).then(() => (isHisOpen = false));
      const ended = readAll(hers.body);
      withdraw(daemon);
      const since = performance.now();
      daemon.notify({ PeersChanged: [] });
      assert.match(await ended, /access_revoked/);
      assert.ok(performance.now() - since < 1000, `it took ${performance.now() - since} ms`);
      assert.ok(isHisOpen, 'the stream of another is left alone');
      his.body.destroy();
    });
  }
});
