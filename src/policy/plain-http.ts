/** Whether an unencrypted base URL leads out into the world, where the provider's key and the prompts could be read on the way. */
import { classifyIp, parseIp } from '../wire/ip.ts';

/** `public`: an address of the internet. `unknown`: a name, which may be one of a private network. `private`: stays within one, or on this machine. */
export type PlainHttpReach = 'public' | 'unknown' | 'private';

/** Names that lead to no public host (RFC 6761, 6762, 8375; ICANN's `internal`; names of tailnets and clusters). */
const PRIVATE_NAME =
  /(?:^|\.)(?:localhost|local|internal|intranet|lan|home\.arpa|test|invalid|ts\.net|svc|cluster\.local)$/;

/** Null for encrypted addresses. `origin` is one that `parseBaseUrl` made. */
export function plainHttpReach(origin: string): PlainHttpReach | null {
  const url = URL.parse(origin);
  if (url === null || url.protocol !== 'http:') return null;
  const host = url.hostname.replace(/^\[|\]$/g, '').replace(/\.$/, '');
  const address = parseIp(host);
  if (address !== null) return classifyIp(address) === 'global' ? 'public' : 'private';
  return !host.includes('.') || PRIVATE_NAME.test(host) ? 'private' : 'unknown';
}
