/** Garbage at each step of the control protocol: an HTTP error, bounded memory, and the next device is served. */
import assert from 'node:assert/strict';
import net from 'node:net';
import { after, before, describe, test } from 'node:test';
import * as fc from 'fast-check';
import '../../../test/property-seed.ts';
import { systemRandom } from '../../base/random.ts';
import {
  createNoiseProtocol,
  NoiseInitiator,
  X25519PrivateKey,
  X25519PublicKey,
} from '../../crypto/index.ts';
import { connectControl, fetchControlKey, type ControlConnection } from '../protocol/control-connection.ts';
import { controlPrologue, encodeInitiation } from '../protocol/control-records.ts';
import { parseControlUrl } from '../protocol/control-url.ts';
import { RefusedByControl } from '../protocol/errors.ts';
import { loopbackDialer } from '../protocol/fake-control.ts';
import { type ControlBed, sees, startControlBed } from './control-bed.fixture.ts';
import { readMapQuestion, readRegister } from './read-requests.ts';

let bed: ControlBed;
let serverKey = '';

before(async () => {
  bed = await startControlBed();
  serverKey = await fetchControlKey({
    dialer: loopbackDialer,
    url: parseControlUrl(bed.url),
    signal: AbortSignal.timeout(5000),
  });
});

after(() => bed.close());

/** Sends these bytes and gives what comes until the server ends the connection. */
function exchange(bytes: Buffer | string): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = net.connect(Number(new URL(bed.url).port), '127.0.0.1');
    const chunks: Buffer[] = [];
    socket.on('data', (chunk: Buffer) => chunks.push(chunk));
    socket.on('close', () => resolve(Buffer.concat(chunks).toString('latin1')));
    socket.on('error', () => undefined);
    socket.setTimeout(5000, () => reject(new Error('the server does not end the connection')));
    socket.write(bytes);
  });
}

function upgrade(handshake: string, more = ''): string {
  return `POST /ts2021 HTTP/1.1\r\nHost: x\r\nUpgrade: tailscale-control-protocol\r\nConnection: upgrade\r\nX-Tailscale-Handshake: ${handshake}\r\n\r\n${more}`;
}

function handshakeFor(key: string, version = 125): string {
  const initiator = new NoiseInitiator({
    protocol: createNoiseProtocol('IK', controlPrologue(version)),
    localStatic: X25519PrivateKey.generate(systemRandom),
    peer: { publicKey: X25519PublicKey.fromBytes(Buffer.from(key, 'hex')) },
    random: systemRandom,
  });
  return encodeInitiation(version, initiator.writeMessage(Buffer.alloc(0)) ?? Buffer.alloc(96)).toString(
    'base64',
  );
}

async function get(path: string): Promise<{ readonly status: number; readonly text: string }> {
  const answer = await fetch(`${bed.url}${path}`);
  return { status: answer.status, text: await answer.text() };
}

describe('before the handshake', () => {
  test('the key is told to clients that are served; others are told which version is (section 5.6)', async () => {
    const { status, text } = await get('/key?v=113');
    assert.equal(status, 200);
    assert.match(JSON.parse(text).publicKey, /^mkey:[0-9a-f]{64}$/);
    for (const version of ['112', '0', '-1', 'x', '999999999'])
      assert.equal((await get(`/key?v=${version}`)).status, 400, version);
    assert.match((await get('/key?v=90')).text, /too old.*Tailscale 1\.80/);
  });

  test('an upgrade that is none, or of an old client, is a 400 in words', async () => {
    for (const handshake of ['', 'AAAA', 'x'.repeat(136), 'A'.repeat(5000), handshakeFor(serverKey, 112)])
      assert.match(await exchange(upgrade(handshake)), /^HTTP\/1\.1 400 /, handshake.slice(0, 20));
    assert.match(await exchange(upgrade(handshakeFor(serverKey, 112))), /too old/);
    assert.equal((await get('/ts2021')).status, 426);
  });

  test('a handshake for another server key is a 400', async () => {
    const other = X25519PrivateKey.generate(systemRandom).publicKey.bytes.toString('hex');
    assert.match(await exchange(upgrade(handshakeFor(other))), /^HTTP\/1\.1 400 .*another server key/s);
  });

  test('a page of no login is a 404 that runs nothing, and shows nothing of what was asked', async () => {
    const { status, text } = await get('/a/%3Cscript%3E');
    assert.equal(status, 404);
    assert.ok(!text.includes('script'));
  });
});

describe('after the handshake', () => {
  test('bytes that are no record, or no HTTP/2, end the connection and nothing else', async () => {
    for (const garbage of [
      '\x04\x00\x10' + 'x'.repeat(16),
      '\x04\xff\xff',
      'GET / HTTP/1.1\r\n\r\n',
      '\x01'.repeat(5000),
    ]) {
      const answer = await exchange(Buffer.from(upgrade(handshakeFor(serverKey), garbage), 'latin1'));
      assert.match(answer, /^HTTP\/1\.1 101 /);
    }
    assert.equal(bed.server.counters().connections, 0);
  });

  async function connected(): Promise<ControlConnection> {
    const machineKey = X25519PrivateKey.generate(systemRandom);
    const signal = AbortSignal.timeout(10_000);
    const options = { dialer: loopbackDialer, url: parseControlUrl(bed.url), random: systemRandom, signal };
    return connectControl({ ...options, machineKey }, serverKey);
  }

  async function status(connection: ControlConnection, path: string, body: string | Buffer): Promise<number> {
    try {
      await connection.request({ path, body, signal: AbortSignal.timeout(5000) });
      return 200;
    } catch (error) {
      if (error instanceof RefusedByControl) return error.status;
      throw error;
    }
  }

  test('unknown paths are 501, strangers 404, malformed bodies 400, large ones 413', async () => {
    const connection = await connected();
    const nodeKey = `nodekey:${'7'.repeat(64)}`;
    for (const path of ['set-dns', 'id-token', 'whoami', 'feature/query', 'tka/init/begin', 'audit-log'])
      assert.equal(await status(connection, `/machine/${path}`, '{}'), 501, path);
    assert.equal(await status(connection, '/machine/update-health', '{}'), 200);
    assert.equal(await status(connection, '/other', '{}'), 404);
    for (const path of ['/machine/register', '/machine/map'])
      for (const body of ['', '[]', 'null', '{', '{}', '{"NodeKey":"nodekey:00"}', '"x"'])
        assert.equal(await status(connection, path, body), 400, `${path} ${body}`);
    assert.equal(
      await status(connection, '/machine/map', JSON.stringify({ Version: 125, NodeKey: nodeKey })),
      404,
    );
    assert.equal(
      await status(connection, '/machine/map', JSON.stringify({ Version: 90, NodeKey: nodeKey })),
      400,
    );
    assert.equal(await status(connection, '/machine/register', Buffer.alloc(1_100_000, 32)), 413);
    connection.close();
  });

  test('an old client is told in the answer to its registration, which it shows', async () => {
    const connection = await connected();
    const body = JSON.stringify({ Version: 90, NodeKey: `nodekey:${'7'.repeat(64)}` });
    const signal = AbortSignal.timeout(5000);
    const answer = await connection.request({ path: '/machine/register', body, signal });
    assert.match(JSON.parse(answer.toString('utf8')).Error, /too old/);
    connection.close();
  });

  test('a machine that opens many connections keeps its last eight', async () => {
    const machineKey = X25519PrivateKey.generate(systemRandom);
    const signal = AbortSignal.timeout(10_000);
    const options = { dialer: loopbackDialer, url: parseControlUrl(bed.url), random: systemRandom, signal };
    const opened: ControlConnection[] = [];
    for (let at = 0; at < 10; at += 1)
      opened.push(await connectControl({ ...options, machineKey }, serverKey));
    await Promise.all(opened.slice(0, 2).map(({ ended }) => ended));
    assert.equal(await status(opened[9] ?? (await connected()), '/machine/update-health', '{}'), 200);
    for (const connection of opened) connection.close();
  });

  test('a device that comes after all this joins as ever', async () => {
    const { tailnet } = await bed.addPeople('later');
    const client = bed.join(await bed.key(tailnet));
    await sees(client, ({ self }) => self.isAuthorized);
  });
});

test('questions are read from any bytes without a throw, and what is read is bounded', () => {
  const json = fc.oneof(
    fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
    fc.jsonValue({ maxDepth: 4 }).map((value) => Buffer.from(JSON.stringify(value))),
    fc
      .record({
        NodeKey: fc.constant(`nodekey:${'7'.repeat(64)}`),
        Endpoints: fc.jsonValue(),
        Hostinfo: fc.record({
          Hostname: fc.jsonValue(),
          Services: fc.jsonValue(),
          RoutableIPs: fc.array(fc.oneof(fc.ipV4(), fc.string()), { maxLength: 400 }),
          RequestTags: fc.jsonValue(),
          NetInfo: fc.jsonValue(),
          sshHostKeys: fc.array(fc.string(), { maxLength: 20 }),
        }),
        Expiry: fc.jsonValue(),
        Auth: fc.jsonValue(),
        Followup: fc.jsonValue(),
      })
      .map((value) => Buffer.from(JSON.stringify(value))),
  );
  fc.assert(
    fc.property(json, (bytes) => {
      for (const host of [readRegister(bytes)?.host, readMapQuestion(bytes)?.host])
        assert.ok(JSON.stringify(host ?? null).length < 64 * 1024);
    }),
  );
});
