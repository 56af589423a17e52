/** Addresses with a meaning of their own in a policy. */
import { difference, parseIpRange, unionOf, type IpRanges } from './ip-ranges.ts';

function ranges(...texts: readonly string[]): IpRanges {
  return unionOf(texts.flatMap((text) => parseIpRange(text) ?? []));
}

/**
 * The addresses of a tailnet where nothing else is said: 100.64.0.0/10 without the part that ChromeOS
 * keeps for itself, and Tailscale's unique local prefix (tsaddr.CGNATRange, ChromeOSVMRange,
 * TailscaleULARange).
 */
export function usualTailnetRanges(): IpRanges {
  return difference(ranges('100.64.0.0/10', 'fd7a:115c:a1e0::/48'), ranges('100.115.92.0/23'));
}

let internet: IpRanges | null = null;

/**
 * `autogroup:internet`: public addresses, so that an exit node opens no private network (RFC 6890):
 * neither private and shared space, nor this host, link-local, multicast and reserved addresses.
 * Computed at first use.
 */
export function internetRanges(): IpRanges {
  internet ??= difference(
    ranges('0.0.0.0/0', '2000::/3'),
    ranges(
      '0.0.0.0/8',
      '10.0.0.0/8',
      '100.64.0.0/10',
      '127.0.0.0/8',
      '169.254.0.0/16',
      '172.16.0.0/12',
      '192.168.0.0/16',
      '224.0.0.0/4',
      '240.0.0.0/4',
    ),
  );
  return internet;
}
