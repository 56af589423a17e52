/** Two or more devices joined without a network, for tests: datagrams wait until they are carried. */
import assert from 'node:assert/strict';
import type { Random } from '../../base/random.ts';
import { X25519PrivateKey } from '../../crypto/index.ts';
import type { SecretBytes } from '../../crypto/index.ts';
import { parseCidr } from '../../wire/ip.ts';
import type { Cidr } from '../../wire/ip.ts';
import { WireguardDevice } from './device.ts';
import type { WireguardDeviceOptions } from './device.ts';
import type { Endpoint, PeerKey, WireguardEvent } from './types.ts';

/** Deterministic bytes (xorshift32), good enough for tests only. */
export function seededRandom(seed: number): Random {
  let state = seed | 0 || 1;
  return {
    bytes(count) {
      const bytes = new Uint8Array(count);
      for (let index = 0; index < count; index += 1) {
        state ^= state << 13;
        state ^= state >>> 17;
        state ^= state << 5;
        bytes[index] = state >>> 8;
      }
      return bytes;
    },
  };
}

export function cidr(text: string): Cidr {
  const parsed = parseCidr(text);
  assert.ok(parsed, `"${text}" is a prefix`);
  return parsed;
}

/** An IPv4 packet of `length` bytes, UDP by its protocol field, filled with `fill`. */
export function ipv4Packet(from: string, to: string, { length = 60, fill = 0 } = {}): Buffer {
  const packet = Buffer.alloc(length, fill);
  packet[0] = 0x45;
  packet.writeUInt16BE(length, 2);
  packet[9] = 17;
  for (const [at, text] of [
    [12, from],
    [16, to],
  ] as const) {
    for (const [index, part] of text.split('.').entries()) packet[at + index] = Number(part);
  }
  return packet;
}

export interface SentDatagram {
  readonly peer: PeerKey | null;
  readonly to: Endpoint | null;
  readonly datagram: Buffer;
}

/** A device with what came out of it. */
export interface TestDevice {
  readonly device: WireguardDevice;
  readonly privateKey: X25519PrivateKey;
  readonly key: PeerKey;
  /** Where others see it. */
  readonly endpoint: Endpoint;
  readonly sent: SentDatagram[];
  readonly delivered: { readonly peer: PeerKey; readonly packet: Buffer }[];
  readonly events: WireguardEvent[];
}

/** The wall clock of tests starts here, at monotonic 0. */
export const WALL_START_MS = 1_800_000_000_000;

export function createTestDevice(
  name: string,
  seed: number,
  options: Partial<WireguardDeviceOptions> = {},
): TestDevice {
  const random = seededRandom(seed);
  const privateKey = options.privateKey ?? X25519PrivateKey.generate(random);
  const made: Omit<TestDevice, 'device'> = {
    privateKey,
    key: privateKey.publicKey.bytes.toString('hex'),
    endpoint: { key: `${name}:1`, source: name },
    sent: [],
    delivered: [],
    events: [],
  };
  const device = new WireguardDevice({
    random,
    wallClock: { now: () => WALL_START_MS },
    output: {
      send: (peer, to, datagram) => made.sent.push({ peer, to, datagram }),
      deliver: (peer, packet) => made.delivered.push({ peer, packet: Buffer.from(packet) }),
      event: (event) => made.events.push(event),
    },
    ...options,
    privateKey,
  });
  return { ...made, device };
}

/** Makes two devices each other's peers: the first has 10.0.0.1, the second 10.0.0.2. */
export function join(
  a: TestDevice,
  b: TestDevice,
  {
    presharedKey = null,
    persistentKeepaliveMs = 0,
    now = 0,
  }: { presharedKey?: SecretBytes | null; persistentKeepaliveMs?: number; now?: number } = {},
): void {
  for (const [own, other, address] of [
    [a, b, '10.0.0.2/32'],
    [b, a, '10.0.0.1/32'],
  ] as const) {
    own.device.setPeer(
      {
        publicKey: other.privateKey.publicKey,
        presharedKey,
        allowedIps: [cidr(address)],
        endpoint: other.endpoint,
        persistentKeepaliveMs: own === a ? persistentKeepaliveMs : 0,
      },
      now,
    );
  }
}

/** Carries everything between two devices until nothing is left. Gives the number of datagrams. */
export function carry(a: TestDevice, b: TestDevice, now: number): number {
  for (let count = 0; count < 10_000;) {
    const fromA = a.sent.splice(0);
    const fromB = b.sent.splice(0);
    if (fromA.length === 0 && fromB.length === 0) return count;
    for (const { datagram } of fromA) b.device.receive(datagram, a.endpoint, now);
    for (const { datagram } of fromB) a.device.receive(datagram, b.endpoint, now);
    count += fromA.length + fromB.length;
  }
  return assert.fail('two devices send to each other without end');
}

/** Runs every timer up to `until`, carrying at once what is sent. */
export function runUntil(devices: readonly [TestDevice, TestDevice], until: number): void {
  const [a, b] = devices;
  for (;;) {
    const wake = Math.min(a.device.nextWake(), b.device.nextWake());
    if (wake > until) return;
    a.device.tick(wake);
    b.device.tick(wake);
    carry(a, b, wake);
  }
}

/** Two devices with a session: the first began it, the second has confirmed it. */
export function createConnectedPair(
  options: Parameters<typeof join>[2] & { device?: Partial<WireguardDeviceOptions> } = {},
): [TestDevice, TestDevice] {
  const [a, b] = [createTestDevice('a', 11, options.device), createTestDevice('b', 22, options.device)];
  join(a, b, options);
  a.device.connect(b.key, options.now ?? 0);
  carry(a, b, options.now ?? 0);
  return [a, b];
}
