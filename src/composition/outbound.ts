/** The ways out: one guarded dialer for what documents name, one for what only the operator may allow. */
import {
  createDialer,
  createFetchSmall,
  createUpstreams,
  type Dialer,
  type FetchSmall,
  type Upstreams,
} from '../net/index.ts';
import type { OperatorSettings } from '../config/index.ts';
import type { FetchJson } from '../doors/index.ts';
import type { FetchSmall as ProviderFetch } from '../llm/providers/index.ts';
import { parseCidr } from '../wire/ip.ts';
import { createNetworkDialer, type DeviceRoute } from './node-upstream.ts';

export interface Outbound {
  readonly upstreams: Upstreams;
  /** For hooks, webhooks and other small exchanges with addresses of documents. */
  readonly fetchSmall: FetchSmall;
  /** A plain connection, for mail. */
  readonly dial: Dialer['dial'];
  /** For token endpoints. */
  readonly fetchProvider: ProviderFetch;
  /** For cloud metadata servers; used only where the operator enabled ambient credentials. */
  readonly fetchMetadata: ProviderFetch;
  readonly fetchJson: FetchJson;
}

export interface OutboundOptions {
  readonly settings: OperatorSettings;
  /** Servers of this machine that were found at start. */
  readonly exact: readonly { readonly address: string; readonly port: number }[];
  readonly ownAddresses: () => readonly string[];
  /** A way to a device of the joined network; null where the host is none. */
  readonly routeTo: (hostname: string) => DeviceRoute | null;
}

/** Where clouds answer for their instances and containers; nothing else is let by for metadata. */
const METADATA_ADDRESSES = [
  '169.254.169.254/32',
  '169.254.170.2/32',
  '169.254.170.23/32',
  'fd00:ec2::254/128',
  'fd00:ec2::23/128',
];

export function openOutbound({ settings, exact, ownAddresses, routeTo }: OutboundOptions): Outbound {
  const { connectMs, firstByteMs, idleMs } = settings.timeouts;
  const dialerFor = (allow: readonly string[]): Dialer =>
    createDialer({
      allow: allow.map(toCidr),
      exact,
      ownAddresses,
      caFiles: settings.caFiles,
      connectMs,
    });
  const open = (dialer: Dialer): Upstreams => createUpstreams({ dialer, timeouts: { firstByteMs, idleMs } });
  const dialer = createNetworkDialer({
    guarded: dialerFor(settings.allowUpstream),
    routeTo,
    caFiles: settings.caFiles,
    connectMs,
  });
  const upstreams = open(dialer);
  const fetchSmall = createFetchSmall(upstreams);
  const fetchProvider: ProviderFetch = fetchSmall;
  const fetchMetadata = createFetchSmall(open(dialerFor(METADATA_ADDRESSES)));
  return {
    upstreams,
    fetchSmall,
    dial: (target) => dialer.dial(target),
    fetchProvider,
    fetchMetadata,
    async fetchJson(url) {
      const answer = await fetchSmall(url);
      if (answer.status !== 200) throw new Error(`${new URL(url).origin} answered ${answer.status}`);
      return JSON.parse(answer.body.toString('utf8'));
    },
  };
}

function toCidr(text: string): NonNullable<ReturnType<typeof parseCidr>> {
  const cidr = parseCidr(text);
  if (cidr === null) throw new Error(`assertion failed: "${text}" was checked as a CIDR with the settings`);
  return cidr;
}
