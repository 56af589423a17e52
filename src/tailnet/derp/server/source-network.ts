/** Whom limits for strangers count by: who has one IPv6 address has a /64 of them. */
import { formatIp, type IpAddress } from '../../../wire/ip.ts';

const LOW_64 = (1n << 64n) - 1n;
const MAPPED_PREFIX = 0xffffn;

/**
 * The network of an IPv4 address (itself, or its /24) or the /64 of an IPv6 address, as a text to count
 * by; `unknown` for no address, as on a local socket.
 */
export function networkOf(ip: IpAddress | null, ipv4Bits: 24 | 32): string {
  if (ip === null) return 'unknown';
  const isMapped = ip.family === 6 && ip.value >> 32n === MAPPED_PREFIX;
  if (ip.family === 6 && !isMapped) return formatIp({ family: 6, value: ip.value & ~LOW_64 });
  const value = ip.value & (ipv4Bits === 32 ? 0xffff_ffffn : 0xffff_ff00n);
  return formatIp({ family: 4, value });
}
