/** Which addresses are ours, and which cannot be anybody's. */
import type { IpPacket } from '../../wire/ip-packet.ts';
import { equals } from './tcp/flows.ts';

/** Own addresses of a stack; a device has two. */
export const OWN_ADDRESSES_MAX = 64;

/** The own address at `bytes[at, at + length)`, or undefined. */
export function findOwn(
  own: readonly Buffer[],
  bytes: Buffer,
  at: number,
  length: number,
): Buffer | undefined {
  for (const address of own) if (equals(address, bytes, at, length)) return address;
  return undefined;
}

/**
 * Whether nobody can have this source: unspecified, loopback, multicast, broadcast and reserved
 * (RFC 6890), and IPv4-mapped IPv6, which never appears on a wire.
 */
export function isImpossibleSource(packet: Buffer, ip: IpPacket): boolean {
  const at = ip.sourceAt;
  const first = packet[at] ?? 0;
  if (ip.family === 4) return first === 0 || first === 127 || first >= 224;
  if (first === 0xff) return true;
  if (first !== 0) return false;
  for (let index = at + 1; index < at + 10; index += 1) if (packet[index] !== 0) return false;
  const group = ((packet[at + 10] ?? 0) << 8) | (packet[at + 11] ?? 0);
  if (group === 0xffff) return true;
  if (group !== 0 || packet[at + 12] !== 0 || packet[at + 13] !== 0 || packet[at + 14] !== 0) return false;
  return (packet[at + 15] ?? 0) <= 1;
}
