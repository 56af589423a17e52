/**
 * A WireGuard client's configuration, as `wg-quick` and the WireGuard apps read it (wg-quick(8)), and
 * keys as `wg` prints them. Only the node's own addresses go through the tunnel.
 */
import type { Random } from '../../base/random.ts';
import { X25519_KEY_BYTES, X25519PrivateKey, X25519PublicKey } from '../../crypto/index.ts';
import { parseIp } from '../../wire/ip.ts';

/** Keeps a NAT's mapping alive, so that answers and keys reach the device: what WireGuard's own guide suggests. */
const KEEPALIVE_SEC = 25;
/** What every path carries (RFC 8200 section 5). */
const MTU = 1280;

export interface ClientConfiguration {
  /** Base64; null where the client keeps its own: then a line says where it belongs. */
  readonly privateKey: string | null;
  /** The client's addresses inside. */
  readonly addresses: readonly string[];
  /** The node's public key. */
  readonly serverKey: X25519PublicKey;
  /** The node's addresses inside. */
  readonly serverAddresses: readonly string[];
  /** `host:port` where the node's UDP socket is reached. */
  readonly endpoint: string;
}

export function formatClientConfiguration(client: ClientConfiguration): string {
  const { privateKey, serverKey } = client;
  return [
    '[Interface]',
    privateKey === null ? '# PrivateKey = the one that stays on your device' : `PrivateKey = ${privateKey}`,
    `Address = ${client.addresses.map(asHostRoute).join(', ')}`,
    `MTU = ${MTU}`,
    '',
    '[Peer]',
    `PublicKey = ${formatPublicKey(serverKey)}`,
    `AllowedIPs = ${client.serverAddresses.map(asHostRoute).join(', ')}`,
    `Endpoint = ${client.endpoint}`,
    `PersistentKeepalive = ${KEEPALIVE_SEC}`,
    '',
  ].join('\n');
}

function asHostRoute(address: string): string {
  return `${address}/${parseIp(address)?.family === 6 ? 128 : 32}`;
}

/** Base64, as `wg` has it. */
export function formatPublicKey(key: X25519PublicKey): string {
  return key.bytes.toString('base64');
}

/** A key as `wg pubkey` prints it; null for anything else. */
export function parsePublicKey(text: string): X25519PublicKey | null {
  const trimmed = text.trim();
  if (!/^[A-Za-z0-9+/]{43}=$/.test(trimmed)) return null;
  const bytes = Buffer.from(trimmed, 'base64');
  if (bytes.byteLength !== X25519_KEY_BYTES || bytes.toString('base64') !== trimmed) return null;
  return X25519PublicKey.fromBytes(bytes);
}

/** A pair for a client that has none. The private half is for its configuration and nowhere else. */
export function generateClientKey(random: Random): {
  readonly privateKey: string;
  readonly publicKey: X25519PublicKey;
} {
  const key = X25519PrivateKey.generate(random);
  const bytes = key.reveal();
  const privateKey = bytes.toString('base64');
  bytes.fill(0);
  key.wipe();
  return { privateKey, publicKey: key.publicKey };
}
