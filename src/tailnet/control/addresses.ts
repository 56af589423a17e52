/**
 * Addresses of devices, unique in the organization: IPv4 of 100.64.0.0/10 (RFC 6598) and IPv6 of the
 * prefix that official clients take for a tailnet's, derived from the IPv4 address.
 */
import type { Random } from '../../base/random.ts';
import { formatIp, parseIp } from '../../wire/ip.ts';
import { coordinationError } from './errors.ts';

const POOL_BASE = 0x6440_0000;
const POOL_SIZE = 1 << 22;
/** fd7a:115c:a1e0::/48: clients route it, and their own resolver is at its ::53. */
const V6_PREFIX = 0xfd7a_115c_a1e0n << 80n;

/** First address and size. Official clients and some of their systems use these for themselves. */
const RESERVED: readonly (readonly [base: number, size: number])[] = [
  /* 100.100.0.0/24, 100.100.100.0/24 (the client's resolver), 100.115.92.0/23 (ChromeOS). */
  [0x6464_0000, 256],
  [0x6464_6400, 256],
  [0x6473_5c00, 512],
  /* The pool's own first and last. */
  [POOL_BASE, 1],
  [POOL_BASE + POOL_SIZE - 1, 1],
];

/** Places tried one after another from a random one; the pool of four million is never nearly full. */
const TRIES_MAX = 65_536;

export interface DeviceAddresses {
  readonly ipv4: string;
  readonly ipv6: string;
}

export class AddressPool {
  readonly #random: Random;
  readonly #taken = new Set<number>();

  constructor(random: Random) {
    this.#random = random;
  }

  /** Addresses that nobody has. Throws `coordination_limit` if none is found. */
  take(): DeviceAddresses {
    const bytes = Buffer.from(this.#random.bytes(4));
    const start = bytes.readUInt32BE(0) % POOL_SIZE;
    for (let step = 0; step < TRIES_MAX; step += 1) {
      const value = POOL_BASE + ((start + step) % POOL_SIZE);
      if (this.#taken.has(value) || isReserved(value)) continue;
      this.#taken.add(value);
      return {
        ipv4: formatIp({ family: 4, value: BigInt(value) }),
        ipv6: formatIp({ family: 6, value: V6_PREFIX | BigInt(value) }),
      };
    }
    throw coordinationError('coordination_limit', 'the organization has no address left for a new device');
  }

  /** Of a device that was loaded. */
  claim(ipv4: string): void {
    const value = numberOf(ipv4);
    if (value !== null) this.#taken.add(value);
  }

  giveBack(ipv4: string): void {
    const value = numberOf(ipv4);
    if (value !== null) this.#taken.delete(value);
  }
}

function isReserved(value: number): boolean {
  return RESERVED.some(([base, size]) => value >= base && value < base + size);
}

function numberOf(ipv4: string): number | null {
  const ip = parseIp(ipv4);
  return ip === null || ip.family !== 4 ? null : Number(ip.value);
}
