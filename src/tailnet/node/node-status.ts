/** What a node says of itself. */
import type { AppError } from '../../base/errors.ts';
import type { RelayState } from '../derp/index.ts';
import type { NetStackCounters } from '../netstack/index.ts';
import type { ControlState, FilterVerdict } from '../protocol/index.ts';
import type { WireguardCounters } from '../wireguard/index.ts';
import type { CarrierCounters } from './controlled/packet-carrier.ts';
import type { NodePeer, NodePeerStatus } from './node-peer.ts';
import type { PathDrops } from './paths/index.ts';

export type NodeState =
  /** Before `up`, and after `close`. */
  | 'stopped'
  /** No network map yet. */
  | 'starting'
  /** Someone has to visit the login URL; there is no traffic, or the key is about to be another. */
  | 'needs_login'
  /** Traffic flows, by the last map where the control server is away. */
  | 'running'
  /** Ended for good, without traffic: `problem` says why. `close` and `up` begin anew. */
  | 'failed';

export interface NodeStatus {
  readonly state: NodeState;
  readonly hostname: string;
  readonly addresses: readonly string[];
  /** Base64; null before `up`. */
  readonly publicKey: string | null;
  readonly udpPort: number | null;
  readonly peers: readonly NodePeerStatus[];
  readonly wireguard: WireguardCounters | null;
  readonly netstack: Readonly<NetStackCounters> | null;
  /** Null for static peers, and before `up`. */
  readonly control: ControlStatus | null;
}

/** The node's standing with its control server. Texts are the server's, cut and printable. */
export interface ControlStatus {
  readonly url: string;
  readonly state: ControlState;
  /** Why it is not running; null if all is well. */
  readonly problem: string | null;
  readonly loginUrl: string | null;
  /** The network's name; empty while it is not known. */
  readonly domain: string;
  /** Our full name in it. */
  readonly dnsName: string;
  /** Names that a certificate can be had for. */
  readonly certificateDomains: readonly string[];
  /** Milliseconds since 1970; null: our key does not expire. */
  readonly keyExpiresAt: number | null;
  readonly health: readonly string[];
  /** Whose device we are; null with tags. */
  readonly user: string | null;
  readonly tags: readonly string[];
  /** Region; 0 for none. */
  readonly homeDerp: number;
  readonly relays: readonly RelayState[];
  /** Where we may be reached, as others are told. */
  readonly endpoints: readonly string[];
  readonly counters: ControlCounters;
}

/** What was dropped and why, for metrics. Only ever rise. */
export interface ControlCounters {
  /** By the packet filter. */
  readonly filtered: Readonly<Record<Exclude<FilterVerdict, 'accept'>, number>>;
  readonly disco: Readonly<PathDrops>;
  readonly carrier: CarrierCounters;
  /** Malformed parts of the control server's messages. */
  readonly leftOut: number;
  /** Peers whose keys cannot be used. */
  readonly peersRefused: number;
  /** Connections that a change of the network ended. */
  readonly connectionsCut: number;
}

export type NodeEvent =
  | { readonly type: 'state'; readonly state: NodeState; readonly problem: AppError | null }
  | { readonly type: 'login_url'; readonly url: string }
  /** The network map changed: addresses, names, rules or users. */
  | { readonly type: 'network' }
  /** Another name, user's name or capabilities; its connections stay. Told of peers that were asked about. */
  | { readonly type: 'peer_changed'; readonly peer: NodePeer }
  /** Gone, expired, or another identity: its connections have been cut. */
  | { readonly type: 'peer_ended'; readonly peer: NodePeer };
