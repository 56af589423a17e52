import assert from 'node:assert/strict';
import http from 'node:http';
import type net from 'node:net';
import { afterEach, describe, test } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import { systemRandom } from '../../base/random.ts';
import { NaclBox, X25519PrivateKey, X25519PublicKey } from '../../crypto/index.ts';
import { DERP_FRAME, derpBodyBytes, encodeDerpFrame, encodeDerpServerKey } from '../../wire/derp.ts';
import { updateDerpMap, EMPTY_DERP_MAP, type DerpMap } from '../protocol/derp-map.ts';
import { loopbackDialer } from '../protocol/fake-control.ts';
import { FrameSplitter } from '../protocol/frame-splitter.ts';
import { chooseHome } from './choose-home.ts';
import { DerpRelays, type RelayState } from './derp-relays.ts';
import { relayTarget } from './region-link.ts';
import { TokenBucket } from './token-bucket.ts';

interface FakeRelay {
  readonly host: string;
  readonly map: DerpMap;
  /** Frames that clients sent, after their login. */
  readonly frames: { readonly type: number; readonly body: Buffer }[];
  /** Writes to every client. */
  write(bytes: Buffer): void;
  dropAll(): void;
  close(): Promise<void>;
}

interface RelayBehaviour {
  /** Instead of the greeting. */
  readonly greeting?: Buffer;
  readonly info?: object;
  readonly status?: number;
}

const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

/** A relay on loopback: the real login, and whatever a test writes. */
async function startRelay({ greeting, info = {}, status = 101 }: RelayBehaviour = {}): Promise<FakeRelay> {
  const key = X25519PrivateKey.generate(systemRandom);
  const sockets = new Set<net.Socket>();
  const frames: { type: number; body: Buffer }[] = [];
  const server = http.createServer();
  server.on('connection', (socket) => {
    sockets.add(socket);
    socket.on('error', () => undefined);
    socket.on('close', () => sockets.delete(socket));
  });
  server.on('upgrade', (_request, socket) => {
    if (status !== 101) {
      socket.end(`HTTP/1.1 ${status} No\r\nContent-Length: 2\r\n\r\nno`);
      return;
    }
    socket.write('HTTP/1.1 101 Switching Protocols\r\nUpgrade: DERP\r\nConnection: Upgrade\r\n\r\n');
    socket.write(greeting ?? encodeDerpServerKey(key.publicKey.bytes));
    const splitter = new FrameSplitter({ headerBytes: 5, bodyBytes: derpBodyBytes });
    socket.on('data', (chunk: Buffer) => {
      splitter.push(chunk, (header, body) => {
        const type = header.readUInt8(0);
        if (type !== DERP_FRAME.clientInfo) {
          frames.push({ type, body: Buffer.from(body) });
          return true;
        }
        const box = NaclBox.between(key, X25519PublicKey.fromBytes(body.subarray(0, 32)));
        assert.deepEqual(JSON.parse(String(box?.open(body.subarray(32, 56), body.subarray(56)))), {
          version: 2,
          CanAckPings: true,
        });
        const nonce = systemRandom.bytes(24);
        const sealed = box?.seal(nonce, Buffer.from(JSON.stringify(info))) ?? Buffer.alloc(0);
        socket.write(encodeDerpFrame(DERP_FRAME.serverInfo, nonce, sealed));
        return true;
      });
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const close = async (): Promise<void> => {
    for (const socket of sockets) socket.destroy();
    await new Promise<void>((resolve) => server.close(() => resolve()));
  };
  closers.push(close);
  const nodes = [{ Name: 'a', HostName: '127.0.0.1', DERPPort: port }];
  return {
    host: `127.0.0.1:${port}`,
    map: updateDerpMap(EMPTY_DERP_MAP, { Regions: { 1: { RegionID: 1, Nodes: nodes } } }),
    frames,
    write: (bytes) => {
      for (const socket of sockets) socket.write(bytes);
    },
    dropAll: () => {
      for (const socket of sockets) socket.destroy();
    },
    close,
  };
}

interface Client {
  readonly relays: DerpRelays;
  readonly packets: string[];
  readonly gone: string[];
  state(find: (state: RelayState) => boolean): Promise<RelayState>;
}

function startClient(relay: FakeRelay): Client {
  const packets: string[] = [];
  const gone: string[] = [];
  const states: RelayState[] = [];
  const waiting = new Set<(state: RelayState) => void>();
  const relays = new DerpRelays(
    {
      dialer: loopbackDialer,
      clock: systemClock,
      random: systemRandom,
      plainHost: relay.host,
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          const timer = setTimeout(resolve, ms / 100);
          signal.addEventListener('abort', () => {
            clearTimeout(timer);
            reject(new Error('aborted'));
          });
        }),
      onPacket: (region, source, packet) => packets.push(`${region} ${source[0]} ${packet.toString()}`),
      onPeerGone: (region, peer, reason) => gone.push(`${region} ${peer[0]} ${reason}`),
      onState: (state) => {
        states.push(state);
        for (const wake of waiting) wake(state);
      },
    },
    X25519PrivateKey.generate(systemRandom),
  );
  closers.push(() => relays.close());
  relays.setMap(relay.map);
  return {
    relays,
    packets,
    gone,
    state: (find) =>
      new Promise((resolve) => {
        const look = (state: RelayState): boolean => {
          if (!find(state)) return false;
          waiting.delete(look);
          resolve(state);
          return true;
        };
        if (!states.some(look)) waiting.add(look);
      }),
  };
}

const isConnected = ({ state }: RelayState): boolean => state === 'connected';

async function until(check: () => boolean): Promise<void> {
  for (const end = Date.now() + 5000; !check();) {
    assert.ok(Date.now() < end, 'in vain');
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

describe('the relay client', () => {
  test('stays connected to home, tells it so, and hands on packets, answers pings, hears who is gone', async () => {
    const relay = await startRelay();
    const client = startClient(relay);
    client.relays.setHome(1);
    await client.state(isConnected);
    relay.write(encodeDerpFrame(DERP_FRAME.receivePacket, Buffer.alloc(32, 9), Buffer.from('hi')));
    relay.write(encodeDerpFrame(DERP_FRAME.ping, Buffer.alloc(8, 3)));
    relay.write(encodeDerpFrame(DERP_FRAME.peerGone, Buffer.alloc(32, 9), Uint8Array.of(1)));
    relay.write(encodeDerpFrame(0x77, Buffer.from('of the future')));
    assert.equal(client.relays.send(1, Buffer.alloc(32, 4), Buffer.from('x')), 'sent');
    await until(() => relay.frames.length === 3 && client.gone.length === 1);
    assert.deepEqual(client.packets, ['1 9 hi']);
    assert.deepEqual(client.gone, ['1 9 not_here']);
    assert.deepEqual(
      relay.frames.map(({ type }) => type).sort((a, b) => a - b),
      [DERP_FRAME.sendPacket, DERP_FRAME.notePreferred, DERP_FRAME.pong],
    );
  });

  test('another region is connected when something is sent there; what waits is sent then, within its bound', async () => {
    const relay = await startRelay();
    const client = startClient(relay);
    const sent = Array.from({ length: 40 }, () => client.relays.send(1, Buffer.alloc(32), Buffer.from('x')));
    assert.equal(sent.filter((what) => what === 'queued').length, 32);
    assert.equal(sent.at(-1), 'queue_full');
    await until(() => relay.frames.length === 32);
    assert.equal(client.relays.send(2, Buffer.alloc(32), Buffer.from('x')), 'no_relay');
    assert.equal(client.relays.send(1, Buffer.alloc(32), Buffer.alloc(65_537)), 'too_large');
  });

  test('a connection that breaks is made again; a region that is no longer in the map is left', async () => {
    const relay = await startRelay();
    const client = startClient(relay);
    client.relays.setHome(1);
    await client.state(isConnected);
    relay.dropAll();
    await client.state(({ state }) => state === 'waiting');
    await until(() => client.relays.states()[0]?.state === 'connected');
    client.relays.setMap(EMPTY_DERP_MAP);
    await client.state(({ state }) => state === 'idle');
    assert.deepEqual(client.relays.states(), []);
  });

  test('a rate that the relay states is kept: what is over it is dropped', async () => {
    const relay = await startRelay({ info: { TokenBucketBytesPerSecond: 1, TokenBucketBytesBurst: 100 } });
    const client = startClient(relay);
    client.relays.setHome(1);
    await client.state(isConnected);
    const sent = [1, 2, 3].map(() => client.relays.send(1, Buffer.alloc(32), Buffer.from('x')));
    assert.deepEqual(sent, ['sent', 'sent', 'rate_limited']);
  });

  test('what is no relay is not taken for one', async () => {
    const bad: readonly RelayBehaviour[] = [
      { greeting: encodeDerpFrame(DERP_FRAME.serverKey, Buffer.alloc(40)) },
      { greeting: encodeDerpFrame(DERP_FRAME.keepAlive) },
      { greeting: encodeDerpServerKey(Buffer.alloc(32)) },
      { greeting: Buffer.from('01ffffffff', 'hex') },
      { status: 426 },
    ];
    for (const behaviour of bad) {
      const client = startClient(await startRelay(behaviour));
      client.relays.setHome(1);
      const { problem } = await client.state(({ state }) => state === 'waiting');
      assert.match(problem ?? '', /^control_(protocol|refused): /);
    }
  });

  test('a health text is shown until it is cleared', async () => {
    const relay = await startRelay();
    const client = startClient(relay);
    client.relays.setHome(1);
    await client.state(isConnected);
    relay.write(encodeDerpFrame(DERP_FRAME.health, Buffer.from('connected \u001btwice')));
    assert.equal((await client.state(({ problem }) => problem !== null)).problem, 'connected  twice');
    relay.write(encodeDerpFrame(DERP_FRAME.health));
    await until(() => client.relays.states()[0]?.problem === null);
  });
});

test('a relay is spoken to without TLS only at the stated host; a pinned certificate is handed to the dialer', () => {
  const read = (CertName: string) =>
    updateDerpMap(EMPTY_DERP_MAP, {
      Regions: { 1: { RegionID: 1, Nodes: [{ HostName: 'relay.example', IPv4: '192.0.2.1', CertName }] } },
    }).regions.get(1)?.nodes[0];
  const pinned = read(`sha256-raw:${'ab'.repeat(32)}`);
  const named = read('other.example');
  assert.ok(pinned !== undefined && named !== undefined);
  assert.deepEqual(relayTarget(pinned, 'relay.example:80'), {
    protocol: 'https:',
    hostname: 'relay.example',
    port: 443,
    address: '192.0.2.1',
    certificateSha256: 'ab'.repeat(32),
  });
  assert.equal(relayTarget(named, 'relay.example:443').protocol, 'http:');
  assert.equal(relayTarget(named, null).certificateName, 'other.example');
});

test('home is the nearest region, and stays for small differences', () => {
  const regions = Object.fromEntries(
    [1, 2, 3].map((id) => [id, { RegionID: id, NoMeasureNoHome: id === 3, Nodes: [{ HostName: `r${id}` }] }]),
  );
  const map = updateDerpMap(EMPTY_DERP_MAP, { Regions: regions });
  const choose = (latencies: [number, number][], current: number, known: DerpMap = map): number =>
    chooseHome({ map: known, latencies: new Map(latencies), current });
  assert.equal(choose([], 0), 1);
  assert.equal(choose([], 2), 2);
  assert.equal(
    choose(
      [
        [1, 30],
        [2, 20],
        [3, 1],
      ],
      0,
    ),
    2,
  );
  assert.equal(
    choose(
      [
        [1, 30],
        [2, 25],
      ],
      1,
    ),
    1,
    'too little better',
  );
  assert.equal(
    choose(
      [
        [1, 60],
        [2, 20],
      ],
      1,
    ),
    2,
  );
  assert.equal(choose([[2, 20]], 1), 2, 'home did not answer');
  const scored = updateDerpMap(map, { HomeParams: { RegionScore: { 1: 0.1, 2: -1 } } });
  assert.equal(
    choose(
      [
        [1, 60],
        [2, 20],
      ],
      0,
      scored,
    ),
    1,
  );
  assert.equal(chooseHome({ map: EMPTY_DERP_MAP, latencies: new Map(), current: 4 }), 0);
});

test('a token bucket gives its burst, then its rate', () => {
  const bucket = new TokenBucket({ bytesPerSecond: 100, burstBytes: 50, nowMs: 0 });
  assert.equal(bucket.take(50, 0), true);
  assert.equal(bucket.take(1, 0), false);
  assert.equal(bucket.take(10, 100), true);
  assert.equal(bucket.take(51, 60_000), false);
  assert.equal(bucket.take(50, 60_000), true);
});
