import assert from 'node:assert/strict';
import { EventEmitter, once } from 'node:events';
import { test } from 'node:test';
import { systemClock } from '../../base/clock.ts';
import { systemRandom } from '../../base/random.ts';
import { X25519PrivateKey } from '../../crypto/index.ts';
import { cidr, ipv4Packet } from './test-device.ts';
import { WireguardUdp } from './udp-driver.ts';
import type { WireguardUdpOptions } from './udp-driver.ts';
import { udpEndpoint } from './udp-sockets.ts';

interface Node {
  readonly udp: WireguardUdp;
  readonly heard: EventEmitter;
  readonly key: X25519PrivateKey;
}

async function open(options: Partial<WireguardUdpOptions> = {}): Promise<Node> {
  const heard = new EventEmitter();
  const key = X25519PrivateKey.generate(systemRandom);
  const udp = await WireguardUdp.open({
    privateKey: key,
    random: systemRandom,
    clock: systemClock,
    address4: '127.0.0.1',
    address6: null,
    deliver: (_peer, packet) => heard.emit('packet', packet),
    ...options,
  });
  return { udp, heard, key };
}

/** Tells `own` of `other`, at an address that leads to it or at none. */
function introduce(own: Node, other: Node, { inner, at }: { inner: string; at: string | null }): void {
  own.udp.device.setPeer(
    {
      publicKey: other.key.publicKey,
      allowedIps: [cidr(inner)],
      endpoint: at === null ? null : udpEndpoint(at, other.udp.port),
    },
    own.udp.now(),
  );
  own.udp.wake();
}

test('two devices on loopback exchange packets; the one that was told no address learns it', async () => {
  const [a, b] = [await open(), await open()];
  introduce(a, b, { inner: '10.0.0.2/32', at: '127.0.0.1' });
  introduce(b, a, { inner: '10.0.0.1/32', at: null });
  const there = once(b.heard, 'packet', { signal: AbortSignal.timeout(5_000) });
  const packet = ipv4Packet('10.0.0.1', '10.0.0.2', { fill: 3 });
  assert.equal(a.udp.send(packet), true);
  assert.deepEqual(await there, [packet]);
  const back = once(a.heard, 'packet', { signal: AbortSignal.timeout(5_000) });
  const answer = ipv4Packet('10.0.0.2', '10.0.0.1', { fill: 4 });
  b.udp.send(answer);
  assert.deepEqual(await back, [answer]);
  await Promise.all([a.udp.close(), b.udp.close()]);
});

test('a peer without an address, or with one of a family that is off, is counted and not sent to', async () => {
  const [a, b] = [await open(), await open()];
  introduce(a, b, { inner: '10.0.0.2/32', at: null });
  a.udp.send(ipv4Packet('10.0.0.1', '10.0.0.2'));
  assert.equal(a.udp.counters.noEndpoint, 1);
  const other = await open();
  introduce(a, other, { inner: '10.0.0.3/32', at: '::1' });
  a.udp.send(ipv4Packet('10.0.0.1', '10.0.0.3'));
  assert.equal(a.udp.counters.sendFailed, 1);
  await Promise.all([a, b, other].map(({ udp }) => udp.close()));
});

test('a port that is taken, or no family at all, is refused with what to do', async () => {
  const a = await open();
  await assert.rejects(open({ port: a.udp.port }), {
    code: 'wireguard_bind',
    message: /cannot bind UDP port \d+ on 127\.0\.0\.1; choose another/,
  });
  await assert.rejects(open({ address4: null }), { code: 'wireguard_bind' });
  const { port } = a.udp;
  await a.udp.close();
  await a.udp.close();
  const again = await open({ port });
  assert.equal(again.udp.port, port, 'the port is free after close');
  await again.udp.close();
});

test('an endpoint is an address and a port, in one form', () => {
  assert.equal(udpEndpoint('FD00:0::1', 51820)?.key, '[fd00::1]:51820');
  assert.deepEqual(udpEndpoint('::ffff:10.0.0.1', 1), {
    key: '10.0.0.1:1',
    source: '10.0.0.1',
    family: 4,
    address: '10.0.0.1',
    port: 1,
  });
  for (const [address, port] of [
    ['example.org', 1],
    ['10.0.0.1', 0],
    ['10.0.0.1', 65_536],
    ['10.0.0.1', 1.5],
    ['fe80::1%eth0', 1],
  ] as const) {
    assert.equal(udpEndpoint(address, port), null, `${address} ${port}`);
  }
});
