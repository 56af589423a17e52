/** Where this node may be reached by UDP: what its interfaces have, and where relays see it. Pure. */
import { classifyIp, parseIp } from '../../../wire/ip.ts';
import { formatIpPort, type IpPort } from '../../../wire/ip-port.ts';
import type { LocalEndpoint } from '../../protocol/host-facts.ts';

/** As `os.networkInterfaces()` gives them. */
export interface InterfaceAddress {
  readonly address: string;
  readonly internal: boolean;
}

export interface LocalEndpointsOptions {
  readonly interfaces: readonly InterfaceAddress[];
  /** Of our UDP sockets; null where the family has none. */
  readonly portIpv4: number | null;
  readonly portIpv6: number | null;
  /** By STUN. */
  readonly seenAs: readonly IpPort[];
  /** What the operator says we are reached at. */
  readonly configured: readonly IpPort[];
  /** Addresses within networks of our own, which lead to us in circles. */
  readonly isTailnet: (address: string) => boolean;
}

/** Told to others; more do not help. */
const ENDPOINTS_MAX = 32;

/** Best first: configured, as seen from outside, then those of interfaces. Loopback and link-local are left out. */
export function gatherEndpoints(options: LocalEndpointsOptions): LocalEndpoint[] {
  const found = new Map<string, LocalEndpoint>();
  const add = (address: IpPort, source: LocalEndpoint['source']): void => {
    const key = formatIpPort(address);
    if (!found.has(key) && found.size < ENDPOINTS_MAX) found.set(key, { address, source });
  };
  for (const address of options.configured) add(address, 'configured');
  for (const address of options.seenAs) add(address, 'stun');
  for (const { address, internal } of options.interfaces) {
    const ip = parseIp(address.split('%')[0] ?? '');
    if (ip === null || internal || options.isTailnet(address)) continue;
    const kind = classifyIp(ip);
    if (kind === 'link-local' || kind === 'loopback' || kind === 'unspecified') continue;
    const port = ip.family === 4 ? options.portIpv4 : options.portIpv6;
    if (port !== null) add({ ip, port }, 'local');
  }
  return [...found.values()];
}
