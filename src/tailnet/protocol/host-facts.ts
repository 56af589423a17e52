/** What this node tells the control server about itself (tailcfg.Hostinfo, tailcfg.NetInfo). */
import type { IpPort } from '../../wire/ip-port.ts';
import { formatIpPort } from '../../wire/ip-port.ts';

export interface HostFacts {
  /** What it would like to be called; the server may change it. */
  readonly hostname: string;
  /** `linux`, `macOS`, `windows` … */
  readonly os: string;
  readonly osVersion?: string;
  /** Of this program. */
  readonly version: string;
  /** What the program is, where it is not a general client: `postern`. */
  readonly app: string;
  /** Tags that it would like to have, `tag:x`; an auth key's own win. */
  readonly tags: readonly string[];
}

/** How this node may be reached; changes over time. */
export interface NetFacts {
  /** Region of the home relay; 0 while it is not known. */
  readonly homeDerp: number;
  /** Seconds by `region-v4` or `region-v6`. */
  readonly derpLatency: ReadonlyMap<string, number>;
  /** Null: not known. */
  readonly hasUdp: boolean | null;
  readonly hasIpv6: boolean | null;
  /** The NAT gives another port for every destination. */
  readonly mappingVaries: boolean | null;
  readonly endpoints: readonly LocalEndpoint[];
}

/** Where a UDP address of ours comes from; the control protocol's numbers are in `ENDPOINT_TYPE`. */
export type EndpointSource = 'local' | 'stun' | 'port_mapped' | 'configured';

export interface LocalEndpoint {
  readonly address: IpPort;
  readonly source: EndpointSource;
}

const ENDPOINT_TYPE: Readonly<Record<EndpointSource, number>> = {
  local: 1,
  stun: 2,
  port_mapped: 3,
  configured: 5,
};

export const NO_NET_FACTS: NetFacts = {
  homeDerp: 0,
  derpLatency: new Map(),
  hasUdp: null,
  hasIpv6: null,
  mappingVaries: null,
  endpoints: [],
};

/** `Hostinfo` for the wire. Nothing of the machine goes out that is not in `host`. */
export function hostinfoJson(host: HostFacts, net: NetFacts): object {
  return {
    IPNVersion: host.version,
    OS: host.os,
    ...(host.osVersion === undefined ? {} : { OSVersion: host.osVersion }),
    App: host.app,
    Hostname: host.hostname,
    NoLogsNoSupport: true,
    Userspace: true,
    ...(host.tags.length === 0 ? {} : { RequestTags: host.tags }),
    NetInfo: {
      ...(net.mappingVaries === null ? {} : { MappingVariesByDestIP: net.mappingVaries }),
      ...(net.hasIpv6 === null ? {} : { WorkingIPv6: net.hasIpv6 }),
      ...(net.hasUdp === null ? {} : { WorkingUDP: net.hasUdp }),
      ...(net.homeDerp === 0 ? {} : { PreferredDERP: net.homeDerp }),
      ...(net.derpLatency.size === 0 ? {} : { DERPLatency: Object.fromEntries(net.derpLatency) }),
    },
  };
}

/** `Endpoints` and `EndpointTypes` for the wire. */
export function endpointsJson({ endpoints }: NetFacts): object {
  return {
    Endpoints: endpoints.map(({ address }) => formatIpPort(address)),
    EndpointTypes: endpoints.map(({ source }) => ENDPOINT_TYPE[source]),
  };
}
