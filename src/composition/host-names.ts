/** The closed lists of `Host` values, and where listeners stand as people write it (DESIGN section 4). */
import { parseIp } from '../wire/ip.ts';

/**
 * Each name bare (a default port, or one that a proxy hides) and with each port. A name that bears
 * a port already is one value.
 */
export function hostsAt(names: readonly string[], ports: readonly number[]): string[] {
  return names.flatMap((name) => {
    const host = bracketed(name.toLowerCase());
    return hasPort(host) ? [host] : [host, ...ports.map((port) => `${host}:${port}`)];
  });
}

/** `gateway.tail1.ts.net` and `gateway`. */
export function withShortName(dnsName: string | null): string[] {
  if (dnsName === null) return [];
  const dot = dnsName.indexOf('.');
  return dot < 1 ? [dnsName] : [dnsName, dnsName.slice(0, dot)];
}

/** An address or name as the authority of a URL. */
export function bracketed(host: string): string {
  return parseIp(host)?.family === 6 ? `[${host}]` : host;
}

/** Without port and brackets: what a certificate names. */
export function withoutPort(host: string): string {
  return host.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1');
}

function hasPort(host: string): boolean {
  return /^(?:\[[^\]]*\]|[^:]+):\d+$/.test(host);
}
