/** Ports and protocols as the policy file writes them: `22`, `80-443`, `80,443`, `*`, `tcp:443`, `icmp:*`. */
import type { PortRange, Traffic } from './policy.ts';

/** Every port. */
export const ANY_PORT: PortRange = { first: 0, last: 65_535 };

/** IANA protocol numbers by the names that Tailscale takes. */
const PROTOCOLS: Readonly<Record<string, number>> = {
  icmp: 1,
  igmp: 2,
  ipv4: 4,
  'ip-in-ip': 4,
  tcp: 6,
  egp: 8,
  igp: 9,
  udp: 17,
  gre: 47,
  esp: 50,
  ah: 51,
  'ipv6-icmp': 58,
  sctp: 132,
  fc: 133,
};

/** TCP, UDP, ICMP and ICMPv6: what a rule without a protocol allows. */
export const USUAL_PROTOCOLS: readonly number[] = [6, 17, 1, 58];

/** The protocols that have ports. */
const WITH_PORTS: readonly number[] = [6, 17, 132];

/** A value, or what is wrong with the text. */
export type Parsed<Value> = { readonly value: Value } | { readonly fault: string };

/** A port list as in `tag:server:22,80-443`; at most 100 parts. */
export function parsePorts(text: string): Parsed<readonly PortRange[]> {
  if (text === '*') return { value: [ANY_PORT] };
  const parts = text.split(',');
  if (parts.length > 100) return { fault: 'a port list has at most 100 parts' };
  const ports: PortRange[] = [];
  for (const part of parts) {
    const match = /^([0-9]{1,5})(?:-([0-9]{1,5}))?$/.exec(part);
    if (match === null)
      return { fault: `${part === '' ? 'nothing' : part} is no port and no range like 80-443` };
    const first = Number(match[1]);
    const last = Number(match[2] ?? match[1]);
    if (last > 65_535) return { fault: `${last} is above the last port, 65535` };
    if (first > last) return { fault: `${part} ends before it begins` };
    if (last === 0) return { fault: 'ports begin at 1; write * for every port' };
    ports.push({ first, last });
  }
  return { value: ports };
}

/** A protocol by name or number (1 to 255); case does not matter. */
export function parseProtocol(text: string): Parsed<number> {
  const known = Object.hasOwn(PROTOCOLS, text.toLowerCase()) ? PROTOCOLS[text.toLowerCase()] : undefined;
  if (known !== undefined) return { value: known };
  if (/^[1-9][0-9]{0,2}$/.test(text) && Number(text) <= 255) return { value: Number(text) };
  return {
    fault: `${text} is no protocol: write one of ${Object.keys(PROTOCOLS).join(', ')}, or a number from 1 to 255`,
  };
}

/** An entry of a grant's `ip`: `*`, `443`, `80-443`, `tcp:443`, `icmp:*`. */
export function parseTraffic(text: string): Parsed<Traffic> {
  const colon = text.indexOf(':');
  const protocol = colon === -1 ? null : parseProtocol(text.slice(0, colon));
  if (protocol !== null && 'fault' in protocol) return protocol;
  const ports = parsePorts(text.slice(colon + 1));
  if ('fault' in ports) return ports;
  const traffic: Traffic = { protocol: protocol?.value ?? null, ports: ports.value };
  const fault = portsFault(traffic);
  return fault === null ? { value: traffic } : { fault };
}

/** Only TCP, UDP and SCTP have ports; any other protocol must say `*`. */
export function portsFault({ protocol, ports }: Traffic): string | null {
  if (protocol === null || WITH_PORTS.includes(protocol) || ports.every(isAnyPort)) return null;
  return 'only tcp, udp and sctp have ports; write * for any other protocol';
}

function isAnyPort({ first, last }: PortRange): boolean {
  return first === ANY_PORT.first && last === ANY_PORT.last;
}

/** Whether one packet's protocol and port (null: it has none) are allowed. */
export function carries(traffic: Traffic, protocol: number, port: number | null): boolean {
  const protocolFits =
    traffic.protocol === null ? USUAL_PROTOCOLS.includes(protocol) : traffic.protocol === protocol;
  return (
    protocolFits && traffic.ports.some(({ first, last }) => port === null || (port >= first && port <= last))
  );
}
