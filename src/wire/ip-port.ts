/**
 * An IP address with a port: as text (`192.0.2.1:41641`, `[2001:db8::1]:41641`), and as the 18 bytes
 * in which disco and DERP carry it:
 *
 *   offset  bytes  what
 *   0       16     IPv6, or IPv4 as ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2)
 *   16      2      port, big-endian
 */
import { type IpAddress, formatIp, parseIp } from './ip.ts';

export interface IpPort {
  readonly ip: IpAddress;
  /** 0 to 65535. */
  readonly port: number;
}

export const IP_PORT_BYTES = 18;
/** `[` + 45 + `]:65535`. */
const TEXT_MAX_CHARS = 53;
const MAPPED_PREFIX = 0xffffn << 32n;
const LOW_64 = (1n << 64n) - 1n;

/** From text, or null. IPv6 needs its brackets. */
export function parseIpPort(text: string): IpPort | null {
  if (text.length > TEXT_MAX_CHARS) return null;
  const match = /^(?:\[([0-9a-fA-F:.]+)\]|([0-9.]+)):(0|[1-9][0-9]{0,4})$/.exec(text);
  if (match === null) return null;
  const ip = parseIp(match[1] ?? match[2] ?? '');
  const port = Number(match[3]);
  return ip === null || port > 65_535 ? null : { ip, port };
}

export function formatIpPort({ ip, port }: IpPort): string {
  return ip.family === 4 ? `${formatIp(ip)}:${port}` : `[${formatIp(ip)}]:${port}`;
}

/** The 16 bytes at `offset`, which must be there. IPv4-mapped addresses are given as IPv4. */
export function readIp16(bytes: Buffer, offset: number): IpAddress {
  const high = bytes.readBigUInt64BE(offset);
  const low = bytes.readBigUInt64BE(offset + 8);
  return high === 0n && low >> 32n === 0xffffn
    ? { family: 4, value: low & 0xffffffffn }
    : { family: 6, value: (high << 64n) | low };
}

function writeIp16(bytes: Buffer, offset: number, ip: IpAddress): void {
  const value = ip.family === 4 ? MAPPED_PREFIX | ip.value : ip.value;
  bytes.writeBigUInt64BE(value >> 64n, offset);
  bytes.writeBigUInt64BE(value & LOW_64, offset + 8);
}

/** The 18 bytes at `offset`, which must be there. */
export function readIpPort(bytes: Buffer, offset: number): IpPort {
  return { ip: readIp16(bytes, offset), port: bytes.readUInt16BE(offset + 16) };
}

export function writeIpPort(bytes: Buffer, offset: number, { ip, port }: IpPort): void {
  writeIp16(bytes, offset, ip);
  bytes.writeUInt16BE(port, offset + 16);
}
