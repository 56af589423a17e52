/** The little that WireGuard looks at in an inner packet: version, length and addresses. */

const IPV4_HEADER_BYTES = 20;
const IPV6_HEADER_BYTES = 40;

/** Where the addresses lie. */
export const IPV4_SOURCE_AT = 12;
export const IPV4_DESTINATION_AT = 16;
export const IPV6_SOURCE_AT = 8;
export const IPV6_DESTINATION_AT = 24;

/** 4 or 6 if the bytes can hold such a header, else null. */
export function innerFamily(packet: Buffer): 4 | 6 | null {
  const version = (packet[0] ?? 0) >> 4;
  if (version === 4) return packet.byteLength >= IPV4_HEADER_BYTES ? 4 : null;
  if (version === 6) return packet.byteLength >= IPV6_HEADER_BYTES ? 6 : null;
  return null;
}

/** The length that the header states, without padding; null if it is impossible. Jumbograms are not known here. */
export function innerLength(packet: Buffer, family: 4 | 6): number | null {
  const stated = family === 4 ? packet.readUInt16BE(2) : IPV6_HEADER_BYTES + packet.readUInt16BE(4);
  const least = family === 4 ? IPV4_HEADER_BYTES : IPV6_HEADER_BYTES;
  return stated < least || stated > packet.byteLength ? null : stated;
}
