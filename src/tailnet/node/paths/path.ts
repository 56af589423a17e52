/** A way to a peer by UDP, and which of two is the better. */
import { classifyIp, embeddedIpv4, formatIp, type IpAddress, type IpKind } from '../../../wire/ip.ts';
import { formatIpPort, type IpPort } from '../../../wire/ip-port.ts';

/** A UDP address, ready to be sent to. One object per address of a peer: comparable by reference. */
export interface UdpPath {
  readonly address: IpPort;
  /** The same, as sockets take it. */
  readonly host: string;
  readonly port: number;
  /** `192.0.2.1:41641`. */
  readonly key: string;
}

export function createUdpPath(address: IpPort): UdpPath {
  return { address, host: formatIp(address.ip), port: address.port, key: formatIpPort(address) };
}

/**
 * Kinds of addresses that a datagram may be sent to. `cgnat` is behind a carrier; tailnet addresses,
 * which lie there too, never come as endpoints. NAT64 and tunnels lead to what they embed.
 */
const REACHABLE: readonly IpKind[] = [
  'global',
  'private',
  'cgnat',
  'unique-local',
  'nat64',
  'nat64-local',
  '6to4',
  'teredo',
];

/**
 * Whether a peer may have us send a datagram there. Peers name their addresses themselves: none may be
 * this machine, a group of machines, or the metadata service of a cloud. Addresses of private networks
 * are what direct paths are for.
 */
export function isReachable({ ip, port }: IpPort, allowLoopback: boolean): boolean {
  const inner = embeddedIpv4(ip);
  if (port === 0 || (inner !== null && !isReachable({ ip: inner, port }, allowLoopback))) return false;
  const kind = classifyIp(ip);
  /* Of IPv6 a link-local address needs an interface, which nobody can name from afar. */
  if (kind === 'link-local') return ip.family === 4;
  return kind === 'loopback' ? allowLoopback : REACHABLE.includes(kind);
}

export interface MeasuredPath {
  readonly path: UdpPath;
  readonly latencyMs: number;
}

/** Per cent that a path may be slower and still win: it costs nobody's traffic, or passes fewer translations. */
function bonus(ip: IpAddress): number {
  const kind = classifyIp(ip);
  const near =
    kind === 'loopback'
      ? 50
      : kind === 'link-local'
        ? 30
        : kind === 'private' || kind === 'unique-local'
          ? 20
          : 0;
  return near + (ip.family === 6 ? 10 : 0);
}

/** True if `candidate` should take the place of `current`. A difference within 1 % is none, so that paths do not flap. */
export function isBetterPath(candidate: MeasuredPath, current: MeasuredPath | null): boolean {
  if (current === null) return true;
  if (candidate.path === current.path) return false;
  const slower = Math.max(candidate.latencyMs, current.latencyMs);
  const gain = (latencyMs: number): number => (slower <= 0 ? 0 : ((slower - latencyMs) / slower) * 100);
  const points = gain(candidate.latencyMs) + bonus(candidate.path.address.ip);
  const currentPoints = gain(current.latencyMs) + bonus(current.path.address.ip);
  return points > currentPoints + 1;
}
