/**
 * IP addresses and prefixes as values: strict parsing, canonical text, prefix match, and what kind
 * of address it is. RFC 4291 (IPv6), RFC 5952 (text), RFC 6890 and the IANA special-purpose
 * registries (kinds). IPv4-mapped IPv6 (`::ffff:a.b.c.d`) is folded into IPv4, so that one address
 * has one value. Zone ids (`%eth0`) are not accepted.
 */

/** An address; `value` is its 32 or 128 bits as an unsigned integer. */
export interface IpAddress {
  readonly family: 4 | 6;
  readonly value: bigint;
}

/** A prefix: the bits of `base` below `prefixLength` are zero. */
export interface Cidr {
  readonly family: 4 | 6;
  readonly base: bigint;
  /** 0 to 32 (IPv4) or 0 to 128 (IPv6). */
  readonly prefixLength: number;
}

/**
 * What an address is for. Only `global` is the public internet; IPv6 outside 2000::/3 that has no
 * name here is `reserved`, so that new ranges are not taken for public ones.
 */
export type IpKind =
  | 'global'
  | 'unspecified'
  | 'loopback'
  | 'private'
  | 'cgnat'
  | 'unique-local'
  | 'link-local'
  | 'multicast'
  | 'metadata'
  | 'documentation'
  | 'reserved'
  /** 64:ff9b::/96, RFC 6052: an IPv4 address behind a translator. */
  | 'nat64'
  /** 64:ff9b:1::/48, RFC 8215: the same, with a layout that only the local network knows. */
  | 'nat64-local'
  /** 2002::/16, RFC 3056. */
  | '6to4'
  /** 2001::/32, RFC 4380. */
  | 'teredo'
  /** ::a.b.c.d, deprecated by RFC 4291 section 2.5.5.1. */
  | 'ipv4-compatible';

const MAPPED_PREFIX = 0xffffn;
/** `ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255` is the longest text. */
const TEXT_MAX_CHARS = 45;

/** An address from its text, or null. IPv4 is four decimals without leading zeros; nothing is guessed. */
export function parseIp(text: string): IpAddress | null {
  if (text.length === 0 || text.length > TEXT_MAX_CHARS) return null;
  if (!text.includes(':')) {
    const value = parseIpv4(text);
    return value === null ? null : { family: 4, value: BigInt(value) };
  }
  const value = parseIpv6(text);
  if (value === null) return null;
  return value >> 32n === MAPPED_PREFIX ? { family: 4, value: value & 0xffffffffn } : { family: 6, value };
}

function parseIpv4(text: string): number | null {
  const parts = text.split('.');
  if (parts.length !== 4) return null;
  let value = 0;
  for (const part of parts) {
    if (!/^(?:0|[1-9][0-9]{0,2})$/.test(part)) return null;
    const octet = Number(part);
    if (octet > 255) return null;
    value = value * 256 + octet;
  }
  return value;
}

function parseIpv6(text: string): bigint | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const [headText = '', tailText] = halves;
  const head = parseGroups(headText, tailText === undefined);
  const tail = tailText === undefined ? [] : parseGroups(tailText, true);
  if (head === null || tail === null) return null;
  const missing = 8 - head.length - tail.length;
  /* `::` stands for at least one group (RFC 5952 section 4.2.2 forbids writing less). */
  if (tailText === undefined ? missing !== 0 : missing < 1) return null;
  let value = 0n;
  for (const group of head) value = (value << 16n) | BigInt(group);
  value <<= BigInt(missing * 16);
  for (const group of tail) value = (value << 16n) | BigInt(group);
  return value;
}

function parseGroups(text: string, mayEndInIpv4: boolean): number[] | null {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [index, part] of parts.entries()) {
    if (mayEndInIpv4 && index === parts.length - 1 && part.includes('.')) {
      const ipv4 = parseIpv4(part);
      if (ipv4 === null) return null;
      groups.push(Math.floor(ipv4 / 65536), ipv4 % 65536);
    } else {
      if (!/^[0-9a-fA-F]{1,4}$/.test(part)) return null;
      groups.push(Number.parseInt(part, 16));
    }
  }
  return groups.length > 8 ? null : groups;
}

/** Canonical text: dotted decimal, or RFC 5952 without brackets. */
export function formatIp(ip: IpAddress): string {
  if (ip.family === 4) {
    return [24n, 16n, 8n, 0n].map((shift) => String((ip.value >> shift) & 0xffn)).join('.');
  }
  const groups: string[] = [];
  for (let shift = 112n; shift >= 0n; shift -= 16n) groups.push(((ip.value >> shift) & 0xffffn).toString(16));
  const run = longestZeroRun(groups);
  if (run.length < 2) return groups.join(':');
  return `${groups.slice(0, run.start).join(':')}::${groups.slice(run.start + run.length).join(':')}`;
}

function longestZeroRun(groups: readonly string[]): { start: number; length: number } {
  let best = { start: 0, length: 0 };
  for (let start = 0; start < groups.length; start += 1) {
    let end = start;
    while (groups[end] === '0') end += 1;
    if (end - start > best.length) best = { start, length: end - start };
  }
  return best;
}

/** `a.b.c.d/n`, `x::/n`, or a bare address for one host. Null if malformed or if host bits are set. */
export function parseCidr(text: string): Cidr | null {
  const slash = text.indexOf('/');
  const ip = parseIp(slash === -1 ? text : text.slice(0, slash));
  if (ip === null) return null;
  const bits = ip.family === 4 ? 32 : 128;
  if (slash === -1) return { family: ip.family, base: ip.value, prefixLength: bits };
  const lengthText = text.slice(slash + 1);
  if (!/^(?:0|[1-9][0-9]{0,2})$/.test(lengthText)) return null;
  /* A mapped prefix counts its 96 leading bits: ::ffff:10.0.0.0/104 is 10.0.0.0/8. */
  const prefixLength = Number(lengthText) - (ip.family === 4 && text.includes(':') ? 96 : 0);
  if (prefixLength < 0 || prefixLength > bits) return null;
  const hostBits = BigInt(bits - prefixLength);
  if ((ip.value >> hostBits) << hostBits !== ip.value) return null;
  return { family: ip.family, base: ip.value, prefixLength };
}

export function formatCidr(cidr: Cidr): string {
  return `${formatIp({ family: cidr.family, value: cidr.base })}/${cidr.prefixLength}`;
}

export function cidrContains(cidr: Cidr, ip: IpAddress): boolean {
  if (cidr.family !== ip.family) return false;
  const hostBits = BigInt((cidr.family === 4 ? 32 : 128) - cidr.prefixLength);
  return ip.value >> hostBits === cidr.base >> hostBits;
}

export function sameIp(a: IpAddress, b: IpAddress): boolean {
  return a.family === b.family && a.value === b.value;
}

/** Most special first: the first row that contains the address names its kind. */
const KINDS: readonly (readonly [string, IpKind])[] = [
  /* Instance metadata: AWS, GCP and Azure; AWS ECS; AWS EKS; Alibaba; Oracle; Azure wire server. */
  ['169.254.169.254', 'metadata'],
  ['169.254.170.2', 'metadata'],
  ['169.254.170.23', 'metadata'],
  ['100.100.100.200', 'metadata'],
  ['192.0.0.192', 'metadata'],
  ['168.63.129.16', 'metadata'],
  ['fd00:ec2::254', 'metadata'],
  ['fd00:ec2::23', 'metadata'],
  ['fd20:ce::254', 'metadata'],
  ['0.0.0.0', 'unspecified'],
  ['0.0.0.0/8', 'reserved'],
  ['10.0.0.0/8', 'private'],
  ['100.64.0.0/10', 'cgnat'],
  ['127.0.0.0/8', 'loopback'],
  ['169.254.0.0/16', 'link-local'],
  ['172.16.0.0/12', 'private'],
  ['192.0.0.0/24', 'reserved'],
  ['192.0.2.0/24', 'documentation'],
  ['192.88.99.0/24', 'reserved'],
  ['192.168.0.0/16', 'private'],
  ['198.18.0.0/15', 'reserved'],
  ['198.51.100.0/24', 'documentation'],
  ['203.0.113.0/24', 'documentation'],
  ['224.0.0.0/4', 'multicast'],
  ['240.0.0.0/4', 'reserved'],
  ['0.0.0.0/0', 'global'],
  ['::', 'unspecified'],
  ['::1', 'loopback'],
  ['::/96', 'ipv4-compatible'],
  ['64:ff9b::/96', 'nat64'],
  ['64:ff9b:1::/48', 'nat64-local'],
  ['2001::/32', 'teredo'],
  ['2001:db8::/32', 'documentation'],
  ['2001::/23', 'reserved'],
  ['2002::/16', '6to4'],
  ['3fff::/20', 'documentation'],
  ['fc00::/7', 'unique-local'],
  ['fe80::/10', 'link-local'],
  ['fec0::/10', 'private'],
  ['ff00::/8', 'multicast'],
  ['2000::/3', 'global'],
];

let kindTable: readonly (readonly [Cidr, IpKind])[] | null = null;

/** What kind of address this is. Pure; the table above is parsed at first use. */
export function classifyIp(ip: IpAddress): IpKind {
  kindTable ??= KINDS.flatMap(([text, kind]) => {
    const cidr = parseCidr(text);
    return cidr === null ? [] : [[cidr, kind] as const];
  });
  for (const [cidr, kind] of kindTable) if (cidrContains(cidr, ip)) return kind;
  return 'reserved';
}

/**
 * The IPv4 address that an IPv6 address leads to: NAT64 (RFC 6052 section 2.2), 6to4, Teredo (the
 * client, RFC 4380 section 4) and IPv4-compatible. Null for every other, also for local-use NAT64,
 * whose layout is not public.
 */
export function embeddedIpv4(ip: IpAddress): IpAddress | null {
  const kind = classifyIp(ip);
  if (kind === 'nat64' || kind === 'ipv4-compatible') return { family: 4, value: ip.value & 0xffffffffn };
  if (kind === '6to4') return { family: 4, value: (ip.value >> 80n) & 0xffffffffn };
  if (kind === 'teredo') return { family: 4, value: (ip.value & 0xffffffffn) ^ 0xffffffffn };
  return null;
}
