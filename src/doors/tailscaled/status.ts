/** What tailscaled says of this node itself (tailscale.com/ipn/ipnstate Status). */
import { formatIp, parseIp } from '../../wire/ip.ts';
import { asFields } from './fields.ts';

export interface SelfNode {
  /** Canonical text. */
  readonly addresses: readonly string[];
  /** `name.tailnet.ts.net`, without the trailing dot; null without MagicDNS. */
  readonly dnsName: string | null;
  /** `Running` when the node is connected. */
  readonly state: string;
}

/** Never throws; what is missing is empty. */
export function readSelf(status: unknown): SelfNode {
  const fields = asFields(status) ?? {};
  const self = asFields(fields['Self']) ?? {};
  const listed = Array.isArray(self['TailscaleIPs']) ? self['TailscaleIPs'] : fields['TailscaleIPs'];
  const addresses = Array.isArray(listed) ? listed.slice(0, 64) : [];
  const dnsName = self['DNSName'];
  return {
    addresses: addresses.flatMap((text) => {
      const ip = typeof text === 'string' ? parseIp(text) : null;
      return ip === null ? [] : [formatIp(ip)];
    }),
    dnsName: typeof dnsName === 'string' && dnsName !== '' ? dnsName.replace(/\.$/, '').toLowerCase() : null,
    state: typeof fields['BackendState'] === 'string' ? fields['BackendState'] : '',
  };
}
