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
  /** Names that the network's authority gives this node certificates for; none without HTTPS. */
  readonly certDomains: readonly string[];
  /**
   * The daemon has no network device: connections of peers are handed on to loopback, from loopback,
   * and this machine has no tailnet address to listen on.
   */
  readonly userspace: boolean;
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
    dnsName: readNames([dnsName])[0] ?? null,
    state: typeof fields['BackendState'] === 'string' ? fields['BackendState'] : '',
    certDomains: readNames(fields['CertDomains']),
    userspace: fields['TUN'] === false,
  };
}

/** Host names, without the dot at their end; what is none is left out. */
function readNames(value: unknown): readonly string[] {
  if (!Array.isArray(value)) return [];
  return value.slice(0, 64).flatMap((text) => {
    const name = typeof text === 'string' ? text.replace(/\.$/, '').toLowerCase() : '';
    return HOST_NAME.test(name) ? [name] : [];
  });
}

const HOST_NAME = /^[a-z0-9](?:[a-z0-9.-]{0,251}[a-z0-9])?$/;
