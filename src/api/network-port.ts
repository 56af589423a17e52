/** What the API asks of the network that this gateway joined by itself (`postern up`). */
import type { Secret } from '../base/secret.ts';

/** Another device of the joined network. Times in Unix milliseconds. */
export interface NetworkPeerView {
  readonly id: string;
  readonly name: string;
  /** Login; null for tagged devices. */
  readonly user: string | null;
  readonly tags: readonly string[];
  readonly addresses: readonly string[];
  /** How packets travel now; null while none has. */
  readonly path: 'direct' | 'relay' | null;
  /** Where its packets come from, directly. */
  readonly endpoint: string | null;
  /** As the control server says. */
  readonly online: boolean | null;
  readonly lastHandshakeAt: number | null;
  readonly receivedBytes: number;
  readonly sentBytes: number;
  readonly connections: number;
}

/** The network that this gateway joined by itself. */
export interface NetworkView {
  readonly state: 'off' | 'starting' | 'needs_login' | 'running' | 'failed';
  /** Origin of the control server. */
  readonly loginServer: string | null;
  /** Whoever visits it decides whose device the gateway is. */
  readonly loginUrl: string | null;
  readonly problem: string | null;
  /** How the connection to the control server stands; traffic goes on without it. */
  readonly control: 'connecting' | 'needs_login' | 'running' | 'offline' | 'stopped' | null;
  readonly hostname: string | null;
  /** The network's name. */
  readonly domain: string;
  readonly dnsName: string;
  readonly addresses: readonly string[];
  readonly urls: readonly string[];
  /** Whose device it is; null with tags. */
  readonly user: string | null;
  readonly tags: readonly string[];
  readonly keyExpiresAt: number | null;
  /** What the control server finds wrong. */
  readonly health: readonly string[];
  /** Region; 0 for none. */
  readonly homeRelay: number;
  readonly relays: readonly {
    readonly region: number;
    readonly state: string;
    readonly problem: string | null;
  }[];
  /** Where others are told that it is reached directly. */
  readonly endpoints: readonly string[];
  readonly peers: readonly NetworkPeerView[];
  /** Control servers that any admin may name. */
  readonly allowed: readonly string[];
}

export interface NetworkRequest {
  readonly loginServer: string | null;
  readonly authKey: Secret | null;
  readonly hostname: string | null;
  readonly tags: readonly string[] | null;
  /** Who asks, and by which door: some addresses are the operator's to name. */
  readonly actor: { readonly principal: string; readonly door: string };
}

/** Joining a network (`postern up`); refusals carry its `network_…` codes. */
export interface NetworkPort {
  status(): NetworkView;
  /** Resolves when joining has begun. */
  up(request: NetworkRequest): Promise<NetworkView>;
  down(): Promise<NetworkView>;
  /** Leaves for good. */
  logout(): Promise<NetworkView>;
}
