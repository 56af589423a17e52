/**
 * The kernel's table of TCP sockets: who owns the other end of a connection of this machine.
 *
 * A row of /proc/net/tcp (documentation/networking/proc_net_tcp.rst), addresses as 32-bit words in
 * the machine's byte order, ports in hexadecimal, state 01 = ESTABLISHED:
 *
 *      sl  local_address rem_address   st tx_queue:rx_queue tr:tm->when retrnsmt   uid  timeout inode
 *       0: 0100007F:9C40 0100007F:1F90 01 00000000:00000000 00:00000000 00000000  1000        0 51234 …
 *
 * tcp6 has 32 digits for an address. A row without inode belongs to nobody any more: its uid says 0
 * and must not be believed. The table is read in pieces while it changes, so a row can be missed;
 * one that is found is true.
 */
import { type IpAddress, parseIp } from '../wire/ip.ts';

/** A connection seen from its client: `client` dialled `server`. */
export interface Endpoints {
  readonly clientAddress: string;
  readonly clientPort: number;
  readonly serverAddress: string;
  readonly serverPort: number;
}

/**
 * The rows' text for a connection, in tcp and in tcp6 (where an IPv4 connection of a two-family
 * socket lies as ::ffff:a.b.c.d): `local:port remote:port` as the client's own row has it.
 * Null if an address is not one.
 */
export function rowKeys(ends: Endpoints): readonly string[] | null {
  const client = parseIp(ends.clientAddress);
  const server = parseIp(ends.serverAddress);
  if (client === null || server === null || client.family !== server.family) return null;
  const key = (hex: (ip: IpAddress) => string): string =>
    `${hex(client)}:${portHex(ends.clientPort)} ${hex(server)}:${portHex(ends.serverPort)}`;
  return client.family === 4 ? [key(ipv4Hex), key(mappedHex)] : [key(ipv6Hex)];
}

function portHex(port: number): string {
  return port.toString(16).toUpperCase().padStart(4, '0');
}

/** All platforms that Node runs on with this table are little-endian: each 32-bit word is printed reversed. */
function wordHex(word: bigint): string {
  const hex = word.toString(16).padStart(8, '0').toUpperCase();
  return `${hex.slice(6, 8)}${hex.slice(4, 6)}${hex.slice(2, 4)}${hex.slice(0, 2)}`;
}

function ipv4Hex(ip: IpAddress): string {
  return wordHex(ip.value);
}

function mappedHex(ip: IpAddress): string {
  return `0000000000000000FFFF0000${wordHex(ip.value)}`;
}

function ipv6Hex(ip: IpAddress): string {
  return [96n, 64n, 32n, 0n].map((shift) => wordHex((ip.value >> shift) & 0xffffffffn)).join('');
}

const COLON = 0x3a;
const SPACE = 0x20;
const NEWLINE = 0x0a;
const ZERO = 0x30;
const ONE = 0x31;

/**
 * Finds the owners of the wanted rows in a table. `addressChars` is 8 for tcp and 32 for tcp6.
 * Bytes that are not a table give no owners. Only rows whose remote port is wanted become text.
 */
export function findOwners(
  table: Uint8Array,
  addressChars: 8 | 32,
  wanted: { readonly has: (key: string) => boolean; readonly ports: ReadonlySet<string> },
  found: Map<string, number>,
): void {
  const buffer = Buffer.from(table.buffer, table.byteOffset, table.byteLength);
  const keyChars = 2 * (addressChars + 5) + 1;
  let lineStart = buffer.indexOf(NEWLINE) + 1;
  while (lineStart > 0) {
    const lineEnd = buffer.indexOf(NEWLINE, lineStart);
    /* A row cut short is not believed. */
    if (lineEnd === -1) return;
    const start = keyStart(buffer, lineStart, lineEnd);
    lineStart = lineEnd + 1;
    if (start === -1 || start + keyChars + 3 > lineEnd) continue;
    const stateAt = start + keyChars + 1;
    if (buffer[stateAt] !== ZERO || buffer[stateAt + 1] !== ONE) continue;
    const port = buffer.toString('latin1', start + keyChars - 4, start + keyChars);
    if (!wanted.ports.has(port)) continue;
    const key = buffer.toString('latin1', start, start + keyChars);
    if (!wanted.has(key)) continue;
    const uid = ownerOf(buffer.toString('latin1', stateAt, lineEnd));
    if (uid !== null) found.set(key, uid);
  }
}

/** Offset of the local address: after `sl`, its colon and a space. */
function keyStart(buffer: Buffer, from: number, to: number): number {
  const limit = Math.min(to, from + 16);
  for (let i = from; i < limit; i += 1) if (buffer[i] === COLON) return buffer[i + 1] === SPACE ? i + 2 : -1;
  return -1;
}

/** Columns from `st` on; null if the row belongs to nobody (inode 0) or is not a row. */
function ownerOf(text: string): number | null {
  const columns = text.trim().split(/ +/);
  const uid = columns[4] ?? '';
  const inode = columns[6] ?? '';
  return /^\d{1,10}$/.test(uid) && /^[1-9]\d*$/.test(inode) ? Number(uid) : null;
}
