import assert from 'node:assert/strict';
import { once } from 'node:events';
import http from 'node:http';
import net from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { systemClock } from '../../../base/clock.ts';
import { systemRandom } from '../../../base/random.ts';
import { NaclBox, X25519PrivateKey, X25519PublicKey } from '../../../crypto/index.ts';
import { DERP_FRAME, encodeDerpFrame, parseDerpServerFrame } from '../../../wire/derp.ts';
import { EMPTY_DERP_MAP, updateDerpMap } from '../../protocol/derp-map.ts';
import { loopbackDialer } from '../../protocol/fake-control.ts';
import { DerpConnection } from '../derp-connection.ts';
import { DerpRelays } from '../derp-relays.ts';
import { FrameReader } from './frame-reader.ts';
import { createRelay, type Relay, type RelayOptions } from './relay.ts';

interface Bed {
  readonly relay: Relay;
  readonly port: number;
  readonly members: Map<string, string[]>;
  /** A key that is a device of tailnet `a`. */
  member(): X25519PrivateKey;
  connect(nodeKey: X25519PrivateKey): Promise<Client>;
}

interface Client {
  readonly connection: DerpConnection;
  readonly packets: string[];
  readonly told: string[];
}

const closers: (() => unknown)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function startRelay(options: Partial<RelayOptions> = {}): Promise<Bed> {
  const members = new Map<string, string[]>();
  const admit = (nodeKey: string): { tailnets: string[] } | null => {
    const tailnets = members.get(nodeKey);
    return tailnets === undefined ? null : { tailnets };
  };
  const relay = createRelay({ admission: { admit }, clock: systemClock, random: systemRandom, ...options });
  const server = http.createServer((request, response) => {
    if (relay.handleRequest(request, response)) return;
    response.writeHead(404);
    response.end('of someone else');
  });
  const sockets = new Set<net.Socket>();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (request, socket, head) => {
    if (!relay.handleUpgrade(request, socket, head)) socket.end('HTTP/1.1 418 Else\r\n\r\n');
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  closers.push(async () => {
    relay.close();
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  });
  const member = (): X25519PrivateKey => {
    const key = X25519PrivateKey.generate(systemRandom);
    members.set(key.publicKey.bytes.toString('hex'), ['a']);
    return key;
  };
  const connect = async (nodeKey: X25519PrivateKey): Promise<Client> => {
    const packets: string[] = [];
    const told: string[] = [];
    const connection = await DerpConnection.connect({
      dialer: loopbackDialer,
      target: { protocol: 'http:', hostname: '127.0.0.1', port },
      nodeKey,
      clock: systemClock,
      random: systemRandom,
      signal: new AbortController().signal,
      onPacket: (_source, packet) => packets.push(packet.toString()),
      onPeerGone: (_peer, reason) => told.push(`gone ${reason}`),
      onHealth: (problem) => told.push(problem),
      onRestarting: (inMs) => told.push(`restarting ${inMs}`),
    });
    closers.push(() => connection.close());
    return { connection, packets, told };
  };
  return { relay, port, members, member, connect };
}

async function until(check: () => boolean, what: string): Promise<void> {
  for (const end = Date.now() + 5000; !check();) {
    assert.ok(Date.now() < end, `in vain: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

/** Status, headers and body of a raw request. */
async function ask(port: number, head: string, body = ''): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  closers.push(() => socket.destroy());
  socket.on('error', () => undefined);
  let text = '';
  socket.on('data', (chunk: Buffer) => {
    text += chunk.toString('latin1');
  });
  socket.write(`${head}\r\nHost: relay.example\r\n`);
  socket.write(`Content-Length: ${body.length}\r\nConnection: close\r\n\r\n${body}`);
  await once(socket, 'close');
  return text;
}

describe('our own client at our relay', () => {
  test('packets both ways, a mebibyte in order, and who is gone', async () => {
    const bed = await startRelay();
    const [oneKey, twoKey] = [bed.member(), bed.member()];
    const [one, two] = [await bed.connect(oneKey), await bed.connect(twoKey)];
    for (let i = 0; i < 1000; i += 1) {
      while (one.connection.send(twoKey.publicKey.bytes, Buffer.from(`${i} `.padEnd(1000))) !== 'sent')
        await new Promise((resolve) => setImmediate(resolve));
    }
    two.connection.send(oneKey.publicKey.bytes, Buffer.from('back'));
    await until(() => two.packets.length === 1000 && one.packets.length === 1, 'all has come');
    assert.deepEqual(
      two.packets.map((text) => parseInt(text, 10)),
      Array.from({ length: 1000 }, (_, i) => i),
    );
    one.connection.close();
    await until(() => two.told.length > 0, 'it is told');
    assert.deepEqual(two.told, ['gone disconnected']);
  });

  test('`DerpRelays` finds its home there; a stranger stays outside, and `revoke` cuts', async () => {
    const bed = await startRelay();
    const nodes = [{ Name: 'a', HostName: '127.0.0.1', DERPPort: bed.port }];
    const map = updateDerpMap(EMPTY_DERP_MAP, { Regions: { 1: { RegionID: 1, Nodes: nodes } } });
    const states: string[] = [];
    const key = bed.member();
    const relays = new DerpRelays(
      {
        dialer: loopbackDialer,
        clock: systemClock,
        random: systemRandom,
        plainHost: `127.0.0.1:${bed.port}`,
        sleep: (_ms, signal) => new Promise((_, reject) => signal.addEventListener('abort', reject)),
        onPacket: () => undefined,
        onPeerGone: () => undefined,
        onState: ({ state }) => states.push(state),
      },
      key,
    );
    closers.push(() => relays.close());
    relays.setMap(map);
    relays.setHome(1);
    await until(() => bed.relay.counters().homes === 1, 'it is the home');
    const hex = key.publicKey.bytes.toString('hex');
    assert.ok(bed.relay.isConnected(hex));
    bed.relay.revoke(hex);
    await until(() => states.at(-1) === 'waiting', 'it is cut');
    await assert.rejects(bed.connect(X25519PrivateKey.generate(systemRandom)));
    assert.equal(bed.relay.counters().refusedStrangers, 1);
  });

  test('above its rate a client is slowed down, and nothing is lost', async () => {
    const bed = await startRelay({ rate: { bytesPerSecond: 400_000, burstBytes: 70_000 } });
    const [oneKey, twoKey] = [bed.member(), bed.member()];
    const [, two] = [await bed.connect(oneKey), await bed.connect(twoKey)];
    const stream = await rawLogin(bed.port, oneKey);
    const frame = encodeDerpFrame(DERP_FRAME.sendPacket, twoKey.publicKey.bytes, Buffer.alloc(1000, 0x61));
    const started = performance.now();
    for (let i = 0; i < 200; i += 1) stream.write(frame);
    await until(() => two.packets.length === 200, 'all has come');
    assert.ok(performance.now() - started >= 200, 'some 137 kB over the burst take a third of a second');
    assert.ok(bed.relay.counters().ratePauses > 0);
  });

  test('a rate that could not carry a packet is a programmer’s fault', async () => {
    for (const rate of [
      { bytesPerSecond: 999, burstBytes: 70_000 },
      { bytesPerSecond: 1000, burstBytes: 65_000 },
    ])
      await assert.rejects(startRelay({ rate }), /a relay's rate is at least/);
  });

  test('`close` says when to come back, and takes no one more', async () => {
    const bed = await startRelay();
    const client = await bed.connect(bed.member());
    bed.relay.close(700);
    await client.connection.ended;
    assert.deepEqual(client.told, ['restarting 700']);
    await assert.rejects(bed.connect(bed.member()));
  });
});

/** A login by hand with a fast start: no answer to the upgrade, and frames at once. */
async function rawLogin(port: number, key: X25519PrivateKey): Promise<net.Socket> {
  const socket = net.connect(port, '127.0.0.1');
  closers.push(() => socket.destroy());
  const upgrade = 'Connection: Upgrade\r\nUpgrade: DERP\r\nDerp-Fast-Start: 1';
  socket.write(`GET /derp HTTP/1.1\r\nHost: relay.example\r\n${upgrade}\r\n\r\n`);
  const [greeting] = await once(socket, 'data');
  socket.write(loginFrame(key, greeting.subarray(5)));
  await once(socket, 'data');
  return socket;
}

function loginFrame(key: X25519PrivateKey, greeting: Buffer): Buffer {
  const server = parseDerpServerFrame(DERP_FRAME.serverKey, greeting);
  assert.ok(server?.type === 'server_key', 'the first bytes are the greeting');
  const nonce = systemRandom.bytes(24);
  const box = NaclBox.between(key, X25519PublicKey.fromBytes(server.key));
  const sealed = box?.seal(nonce, Buffer.from('{"version":2}')) ?? Buffer.alloc(0);
  return encodeDerpFrame(DERP_FRAME.clientInfo, key.publicKey.bytes, nonce, sealed);
}

describe('over WebSocket', () => {
  test('the same frames, in binary messages, with whoever came over plain DERP', async () => {
    const bed = await startRelay();
    const [webKey, plainKey] = [bed.member(), bed.member()];
    const plain = await bed.connect(plainKey);
    const socket = new WebSocket(`ws://127.0.0.1:${bed.port}/derp`, 'derp');
    closers.push(() => socket.close());
    socket.binaryType = 'arraybuffer';
    const reader = new FrameReader(1 << 20);
    const packets: string[] = [];
    let isIn = false;
    socket.addEventListener('message', ({ data }) => {
      reader.push(Buffer.from(data), (bytes, start, end) => {
        const body = bytes.subarray(start + 5, end);
        const frame = parseDerpServerFrame(bytes[start] ?? 0, body);
        if (frame?.type === 'server_key') socket.send(new Uint8Array(loginFrame(webKey, body)));
        if (frame?.type === 'server_info') isIn = true;
        if (frame?.type === 'packet') packets.push(frame.packet.toString());
        return true;
      });
    });
    await until(() => isIn, 'it is in');
    assert.equal(socket.protocol, 'derp');
    assert.equal(bed.relay.counters().websockets, 1);
    plain.connection.send(webKey.publicKey.bytes, Buffer.from('to the web'));
    const big = Buffer.alloc(60_000, 0x62);
    plain.connection.send(webKey.publicKey.bytes, big);
    const answer = encodeDerpFrame(
      DERP_FRAME.sendPacket,
      plainKey.publicKey.bytes,
      Buffer.from('from the web'),
    );
    socket.send(new Uint8Array(answer));
    await until(() => plain.packets.length === 1 && packets.length === 2, 'both have come');
    assert.deepEqual([plain.packets, packets], [['from the web'], ['to the web', big.toString()]]);
    const closed = once(socket, 'close');
    bed.relay.close();
    const [event] = await closed;
    assert.equal(Object(event).code, 1000);
  });

  test('text is no DERP: the close status says so', async () => {
    const bed = await startRelay();
    const socket = new WebSocket(`ws://127.0.0.1:${bed.port}/derp`, 'derp');
    await once(socket, 'open');
    const closed = once(socket, 'close');
    socket.send('hello');
    const [event] = await closed;
    assert.equal(Object(event).code, 1003);
  });
});

describe('what is asked over HTTP', () => {
  test('an upgrade of another kind is refused with what would be right', async () => {
    const { port } = await startRelay();
    const upgrade = (lines: string, method = 'GET'): Promise<string> =>
      ask(port, `${method} /derp HTTP/1.1\r\n${lines}`);
    const derp = 'Upgrade: DERP\r\nConnection: Upgrade';
    const web = 'Upgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Protocol: derp';
    assert.match(await upgrade('Upgrade: h2c\r\nConnection: Upgrade'), /^HTTP\/1\.1 426 .*Upgrade: DERP/s);
    assert.match(await upgrade('Upgrade: websocket\r\nConnection: Upgrade'), /^HTTP\/1\.1 426 /);
    assert.match(await upgrade(web), /^HTTP\/1\.1 426 .*Sec-WebSocket-Version: 13/s);
    assert.match(await upgrade(`${web}\r\nSec-WebSocket-Version: 13`), /^HTTP\/1\.1 400 /);
    assert.match(await upgrade(derp, 'POST'), /^HTTP\/1\.1 405 /);
    assert.match(await ask(port, `GET /other HTTP/1.1\r\n${derp}`), /^HTTP\/1\.1 418 /);
  });

  test('probes, the captive-portal check, robots and people have their answers; other paths are left alone', async () => {
    const { port } = await startRelay();
    for (const path of ['/derp/probe', '/derp/latency-check?x=1']) {
      assert.match(
        await ask(port, `GET ${path} HTTP/1.1`),
        /^HTTP\/1\.1 200 .*Access-Control-Allow-Origin: \*/s,
      );
      assert.match(await ask(port, `HEAD ${path} HTTP/1.1`), /^HTTP\/1\.1 200 /);
      assert.match(await ask(port, `PUT ${path} HTTP/1.1`), /^HTTP\/1\.1 405 /);
    }
    assert.match(await ask(port, 'GET /derp HTTP/1.1'), /^HTTP\/1\.1 426 .*relay for the devices/s);
    assert.match(await ask(port, 'GET /robots.txt HTTP/1.1'), /Disallow: \/\n/);
    assert.match(await ask(port, 'GET /derp/else HTTP/1.1'), /^HTTP\/1\.1 404 .*of someone else/s);
    const challenge = (text: string): Promise<string> =>
      ask(port, `GET /generate_204 HTTP/1.1\r\nX-Tailscale-Challenge: ${text}`);
    assert.match(
      await challenge('ts_relay.example'),
      /^HTTP\/1\.1 204 .*X-Tailscale-Response: response ts_relay\.example\r/s,
    );
    assert.doesNotMatch(await challenge('a b'), /X-Tailscale-Response/);
    assert.doesNotMatch(await challenge('x'.repeat(65)), /X-Tailscale-Response/);
  });

  test('`/verify` tells outside relays who is admitted, and refuses what is no question', async () => {
    const bed = await startRelay();
    const verify = (body: string, method = 'POST'): Promise<string> =>
      ask(bed.port, `${method} /verify HTTP/1.1`, body);
    const question = (key: X25519PrivateKey): string =>
      JSON.stringify({ NodePublic: `nodekey:${key.publicKey.bytes.toString('hex')}`, Source: '192.0.2.1' });
    assert.match(await verify(question(bed.member())), /^HTTP\/1\.1 200 .*\{"Allow":true\}$/s);
    const stranger = X25519PrivateKey.generate(systemRandom);
    assert.match(await verify(question(stranger)), /\{"Allow":false\}$/);
    for (const bad of [
      '',
      '{',
      '[]',
      '{"NodePublic":"mkey:00"}',
      `{"NodePublic":"nodekey:${'0'.repeat(64)}"}`,
    ])
      assert.match(await verify(bad), /^HTTP\/1\.1 400 /, bad);
    assert.match(
      await verify(`${question(bed.member())}${' '.repeat(5000)}`),
      /^HTTP\/1\.1 400 /,
      'too long',
    );
    assert.match(await verify('', 'GET'), /^HTTP\/1\.1 405 /);
  });
});
