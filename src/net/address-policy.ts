/**
 * Which addresses may be dialled (DESIGN section 6). Only public ones, except what the operator
 * listed; metadata services only by an entry that names exactly that address, so that a wide list
 * never opens them by accident.
 */
import {
  type Cidr,
  type IpAddress,
  type IpKind,
  cidrContains,
  classifyIp,
  embeddedIpv4,
  formatIp,
  sameIp,
} from '../wire/ip.ts';

export interface AddressPolicyOptions {
  /** The operator's list (`--allow-upstream`). */
  readonly allow: readonly Cidr[];
  /** Local model servers found at start: exact address and port. */
  readonly exact: readonly { readonly address: IpAddress; readonly port: number }[];
  /** Addresses of this machine, asked at each dial because they change. */
  readonly ownAddresses: () => readonly IpAddress[];
}

/** Null if the address may be dialled, else the reason in words. */
export type AddressPolicy = (address: IpAddress, port: number) => string | null;

export function createAddressPolicy(options: AddressPolicyOptions): AddressPolicy {
  return (address, port) => {
    if (options.exact.some((entry) => entry.port === port && sameIp(entry.address, address))) return null;
    return judge(options, address);
  };
}

function judge(options: AddressPolicyOptions, address: IpAddress): string | null {
  const kind = classifyIp(address);
  const bits = address.family === 4 ? 32 : 128;
  const listed = options.allow.some(
    (cidr) => cidrContains(cidr, address) && (kind !== 'metadata' || cidr.prefixLength === bits),
  );
  /* Translated addresses: listing the translator's prefix does not list what lies behind it. */
  const embedded = embeddedIpv4(address);
  if (embedded !== null && listed) {
    const why = judge(options, embedded);
    if (why !== null) return `${kind} of ${formatIp(embedded)}, which is ${why}`;
  }
  if (listed) return null;
  if (kind !== 'global') return WORDS[kind];
  return options.ownAddresses().some((own) => sameIp(own, address)) ? 'an address of this machine' : null;
}

const WORDS: Readonly<Record<Exclude<IpKind, 'global'>, string>> = {
  unspecified: 'the unspecified address',
  loopback: 'a loopback address',
  private: 'a private address',
  cgnat: 'a carrier-grade NAT or tailnet address',
  'unique-local': 'a unique-local address',
  'link-local': 'a link-local address',
  multicast: 'a multicast address',
  metadata: 'a cloud metadata address',
  documentation: 'a documentation address',
  reserved: 'a reserved address',
  nat64: 'a NAT64 address',
  'nat64-local': 'a local-use NAT64 address',
  '6to4': 'a 6to4 address',
  teredo: 'a Teredo address',
  'ipv4-compatible': 'an IPv4-compatible address',
};
