/**
 * What a node without a control server keeps: its WireGuard key, and the networks out of which devices
 * get their addresses. Both are drawn once and stay, since every device's configuration names them.
 */
import type { Random } from '../../base/random.ts';
import { X25519_KEY_BYTES, X25519PrivateKey } from '../../crypto/index.ts';
import { formatIp, parseIp } from '../../wire/ip.ts';
import { nodeError } from './errors.ts';

/** The key prints as `[secret]`. */
export interface StaticState {
  readonly privateKey: X25519PrivateKey;
  /** First two bytes after `10.`: the network is `10.x.y.0/20`. */
  readonly network4: string;
  /** Of a random ULA (RFC 4193 section 3.2): `fdxx:xxxx:xxxx`. */
  readonly network6: string;
}

/** Hosts of a /20 without the network's, the node's own and the broadcast address. */
export const STATIC_DEVICES_MAX = 4_093;

export function createStaticState(random: Random): StaticState {
  const [second = 0, third = 0] = random.bytes(2);
  const ula = Buffer.from(random.bytes(5)).toString('hex');
  return {
    privateKey: X25519PrivateKey.generate(random),
    network4: `10.${second}.${third & 0xf0}.0`,
    network6: `fd${ula.slice(0, 2)}:${ula.slice(2, 6)}:${ula.slice(6)}::`,
  };
}

/** The two addresses of host `index`: 1 is the node itself, devices follow. */
export function staticAddresses(state: StaticState, index: number): readonly [string, string] {
  const base4 = parseIp(state.network4);
  const base6 = parseIp(state.network6);
  if (base4 === null || base6 === null) throw damaged();
  return [
    formatIp({ family: 4, value: base4.value + BigInt(index) }),
    formatIp({ family: 6, value: base6.value + BigInt(index) }),
  ];
}

/** With the key in clear. */
export function revealStaticState(state: StaticState): string {
  const key = state.privateKey.reveal();
  const text = JSON.stringify({
    version: 1,
    kind: 'static',
    private_key: key.toString('base64'),
    network4: state.network4,
    network6: state.network6,
  });
  key.fill(0);
  return `${text}\n`;
}

/** Throws `node_state`, with nothing of the text. */
export function parseStaticState(text: string): StaticState {
  const value = parseJson(text);
  if (!isRecord(value)) throw damaged();
  const { version, kind, private_key, network4, network6 } = value;
  if (version !== 1 || kind !== 'static' || typeof private_key !== 'string') throw damaged();
  if (typeof network4 !== 'string' || parseIp(network4)?.family !== 4) throw damaged();
  if (typeof network6 !== 'string' || parseIp(network6)?.family !== 6) throw damaged();
  const bytes = Buffer.from(private_key, 'base64');
  if (bytes.byteLength !== X25519_KEY_BYTES) throw damaged();
  return { privateKey: X25519PrivateKey.fromBytes(bytes), network4, network6 };
}

function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null;
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    throw damaged();
  }
}

function damaged(): Error {
  return nodeError(
    'node_state',
    'the state of the network node is damaged or of another kind of network: restore it, or remove it and add the devices anew',
  );
}
