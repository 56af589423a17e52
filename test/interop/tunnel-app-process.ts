/**
 * A small HTTP server at the far end of a tunnel, in one of two places: on the kernel's sockets, above
 * somebody else's WireGuard, or on our stack and our WireGuard in this process. It gives bytes, and
 * answers bytes with their digest. Prints `ready` when it listens.
 */
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { hmacSha256, X25519PrivateKey, X25519PublicKey } from '../../src/crypto/index.ts';
import { UserspaceNetwork } from '../../src/tailnet/netstack/index.ts';
import { udpEndpoint, WireguardUdp } from '../../src/tailnet/wireguard/index.ts';
import { parseCidr } from '../../src/wire/ip.ts';
import { seededNumbers } from '../sim/network.ts';
import { pattern } from '../sim/pattern.ts';

/** What the program is told, as JSON in `TUNNEL_APP`. Keys are hexadecimal. */
export interface TunnelAppSettings {
  /** Address inside the tunnel. */
  readonly address: string;
  readonly port: number;
  /** Absent: the kernel has the tunnel. */
  readonly wireguard?: {
    readonly privateKey: string;
    readonly port: number;
    readonly mtu: number;
    readonly peerPublicKey: string;
    readonly peerAddress: string;
    readonly peerPort: number;
    /** Inner address of the peer. */
    readonly peerIp: string;
    /** Share of inner packets lost, each way; by the seed. */
    readonly loss: number;
    readonly seed: number;
  };
}

/** Bodies repeat these bytes: a prime number of them, so that no power of two is a period. */
const PATTERN = pattern(4_999_999, 5);
const CHUNK_BYTES = 65_536;

/** The body that `/bytes/N` has. */
export function* bodyOf(bytes: number): Generator<Buffer> {
  for (let at = 0; at < bytes;) {
    const from = at % PATTERN.length;
    const count = Math.min(CHUNK_BYTES, bytes - at, PATTERN.length - from);
    yield PATTERN.subarray(from, from + count);
    at += count;
  }
}

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  if (request.method === 'PUT') {
    const hash = createHash('sha256');
    for await (const chunk of request) hash.update(chunk as Buffer);
    response.end(hash.digest('hex'));
    return;
  }
  const bytes = Number(/^\/bytes\/(\d{1,9})/.exec(request.url ?? '')?.[1] ?? 0);
  response.setHeader('content-length', bytes);
  await pipeline(Readable.from(bodyOf(bytes), { objectMode: false, highWaterMark: CHUNK_BYTES }), response);
}

/** Puts the server on our stack over our WireGuard. */
async function serveThroughOurs(server: Server, settings: TunnelAppSettings): Promise<void> {
  const { address, port, wireguard } = settings;
  assert.ok(wireguard !== undefined);
  const chance = seededNumbers(wireguard.seed);
  const isLost = (): boolean => wireguard.loss > 0 && chance() < wireguard.loss;
  const key = systemRandom.bytes(32);
  const udp = await WireguardUdp.open({
    privateKey: X25519PrivateKey.fromBytes(Buffer.from(wireguard.privateKey, 'hex')),
    random: systemRandom,
    clock: systemClock,
    port: wireguard.port,
    mtu: wireguard.mtu,
    deliver: (_peer, packet) => {
      if (!isLost()) network.receive(packet);
    },
  });
  const network = new UserspaceNetwork({
    addresses: [address],
    mtu: wireguard.mtu,
    clock: systemClock,
    random: systemRandom,
    keyedHash: (data) => hmacSha256(key, data),
    output: (packet) => {
      if (!isLost()) udp.send(packet);
    },
  });
  const allowed = parseCidr(`${wireguard.peerIp}/32`);
  assert.ok(allowed);
  udp.device.setPeer(
    {
      publicKey: X25519PublicKey.fromBytes(Buffer.from(wireguard.peerPublicKey, 'hex')),
      allowedIps: [allowed],
      endpoint: udpEndpoint(wireguard.peerAddress, wireguard.peerPort),
    },
    udp.now(),
  );
  network.listen({ port }, (socket) => server.emit('connection', socket));
}

async function main(settings: TunnelAppSettings): Promise<void> {
  const server = createServer((request, response) => {
    answer(request, response).catch(() => response.destroy());
  });
  if (settings.wireguard !== undefined) await serveThroughOurs(server, settings);
  else await new Promise<void>((listening) => server.listen(settings.port, settings.address, 512, listening));
  console.log('ready');
}

if (import.meta.main) {
  const told: unknown = JSON.parse(process.env['TUNNEL_APP'] ?? 'null');
  assert.ok(typeof told === 'object' && told !== null, 'TUNNEL_APP has the settings');
  await main(told as TunnelAppSettings);
}
