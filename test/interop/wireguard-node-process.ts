/**
 * A WireGuard node of ours as a program, for a machine of the interop suite: it sends UDP
 * datagrams of both IP versions back, sends echo requests where asked to, and prints what happens, a
 * line each.
 */
import assert from 'node:assert/strict';
import { systemClock } from '../../src/base/clock.ts';
import { systemRandom } from '../../src/base/random.ts';
import { SecretBytes, X25519PrivateKey, X25519PublicKey } from '../../src/crypto/index.ts';
import { udpEndpoint, WireguardUdp } from '../../src/tailnet/wireguard/index.ts';
import { parseCidr } from '../../src/wire/ip.ts';

/** What the program is told, as JSON in `WIREGUARD_NODE`. Keys are hexadecimal. */
export interface WireguardNodeSettings {
  readonly privateKey: string;
  readonly port: number;
  readonly peerPublicKey: string;
  readonly presharedKey: string | null;
  readonly peerAddress: string;
  readonly peerPort: number;
  readonly allowedIps: readonly string[];
  /** Echo requests to send to the peer's IPv4 address, one every 100 ms until all have been answered. */
  readonly echo?: { readonly from: string; readonly to: string; readonly count: number };
  /** Every handshake must show a cookie. */
  readonly alwaysUnderLoad?: boolean;
}

const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;
const [ICMP, UDP] = [1, 17];
const ECHO_REPLY = 0;
const ECHO_EVERY_MS = 100;
/** The peer should hear of a new handshake each time the program begins one. */
const RECONNECT_EVERY_MS = 5_100;

/** Sends a UDP datagram back: addresses and ports swap in place, which leaves its checksum right. False for any other packet. */
function turnAround(packet: Buffer): boolean {
  const isIpv4 = packet.readUInt8(0) >> 4 === 4;
  if (packet[isIpv4 ? 9 : 6] !== UDP) return false;
  const [source, bytes] = isIpv4 ? [12, 4] : [8, 16];
  const ports = isIpv4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
  swap(packet, source, bytes);
  swap(packet, ports, 2);
  return true;
}

/** Exchanges two neighbours of `bytes` bytes each. */
function swap(packet: Buffer, at: number, bytes: number): void {
  const first = Buffer.from(packet.subarray(at, at + bytes));
  packet.copyWithin(at, at + bytes, at + 2 * bytes);
  first.copy(packet, at + bytes);
}

function checksum(bytes: Buffer): number {
  let sum = 0;
  for (let at = 0; at < bytes.byteLength; at += 2) sum += bytes.readUInt16BE(at);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >> 16);
  return ~sum & 0xffff;
}

function echoRequest(from: string, to: string, sequence: number): Buffer {
  const packet = Buffer.alloc(IPV4_HEADER_BYTES + 40);
  packet[0] = 0x45;
  packet.writeUInt16BE(packet.byteLength, 2);
  packet[8] = 64;
  packet[9] = 1;
  packet.set(from.split('.').map(Number), 12);
  packet.set(to.split('.').map(Number), 16);
  packet.writeUInt16BE(checksum(packet.subarray(0, IPV4_HEADER_BYTES)), 10);
  const message = packet.subarray(IPV4_HEADER_BYTES);
  message[0] = 8;
  message.writeUInt16BE(sequence, 6);
  message.writeUInt16BE(checksum(message), 2);
  return packet;
}

async function main(settings: WireguardNodeSettings): Promise<void> {
  let answered = 0;
  const node = await WireguardUdp.open({
    privateKey: X25519PrivateKey.fromBytes(Buffer.from(settings.privateKey, 'hex')),
    random: systemRandom,
    clock: systemClock,
    port: settings.port,
    ...(settings.alwaysUnderLoad === true ? { underLoadPerSec: 0 } : {}),
    deliver: (_peer, packet) => {
      if (turnAround(packet)) node.send(packet);
      else if (packet[9] === ICMP && packet[IPV4_HEADER_BYTES] === ECHO_REPLY) {
        answered += 1;
        console.log(`answered ${answered}`);
      }
    },
    event: (event) => console.log(JSON.stringify(event)),
  });
  const key = node.device.setPeer(
    {
      publicKey: X25519PublicKey.fromBytes(Buffer.from(settings.peerPublicKey, 'hex')),
      presharedKey:
        settings.presharedKey === null ? null : new SecretBytes(Buffer.from(settings.presharedKey, 'hex')),
      allowedIps: settings.allowedIps.map((text) => {
        const cidr = parseCidr(text);
        assert.ok(cidr, text);
        return cidr;
      }),
      endpoint: udpEndpoint(settings.peerAddress, settings.peerPort),
    },
    node.now(),
  );
  console.log(`ready ${node.port}`);
  const { echo } = settings;
  if (echo !== undefined) {
    let sequence = 0;
    setInterval(() => {
      sequence += 1;
      if (answered < echo.count) node.send(echoRequest(echo.from, echo.to, sequence));
    }, ECHO_EVERY_MS);
    setInterval(() => {
      node.device.connect(key, node.now());
      node.wake();
    }, RECONNECT_EVERY_MS);
  }
  process.on('SIGTERM', () => {
    console.log(JSON.stringify({ counters: node.device.counters, udp: node.counters }));
    process.exit(0);
  });
}

if (import.meta.main) {
  const told: unknown = JSON.parse(process.env['WIREGUARD_NODE'] ?? 'null');
  assert.ok(typeof told === 'object' && told !== null, 'WIREGUARD_NODE has the settings');
  await main(told as WireguardNodeSettings);
}
