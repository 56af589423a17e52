/**
 * What the coordination server keeps: tailnets, their people, devices and auth keys. Every record but the
 * counter bears its tailnet, and nothing looks one up without it. Plain data that `JSON.stringify` writes.
 */
import type { UnixMs } from '../../base/clock.ts';
import type { KeyHex } from '../protocol/index.ts';

/** `people`: devices join by sign-in or auth key. `machines`: tagged devices with an auth key only. */
export type TailnetKind = 'people' | 'machines';

export type TailnetRole = 'owner' | 'admin' | 'member';

/** A name that resolves inside, besides those of devices. */
export interface ExtraRecord {
  /** Without the dot at its end. */
  readonly name: string;
  /** `A` or `AAAA` follows from the address. */
  readonly value: string;
}

export interface DnsSettings {
  /** Whether devices resolve each other by name. */
  readonly magicDns: boolean;
  /** Resolvers for everything, by address; empty leaves each device its own. */
  readonly resolvers: readonly string[];
  /** Suffix to the resolvers that answer for it. */
  readonly split: Readonly<Record<string, readonly string[]>>;
  /** Besides the tailnet's own domain. */
  readonly searchDomains: readonly string[];
  readonly extraRecords: readonly ExtraRecord[];
}

/** Who of one provider's people may join a tailnet by signing in; what is not named may not. */
export interface SignInRule {
  /** Id of a provider of the operator's settings. */
  readonly provider: string;
  /** Lower case; of a mail address that the provider says it verified. */
  readonly domains: readonly string[];
  /** Lower case; verified as well. */
  readonly emails: readonly string[];
  /** The provider's names of groups, one of which the person is in. */
  readonly groups: readonly string[];
  /** The provider's group to the policy's, without `group:`. Others never reach a policy. */
  readonly policyGroups: Readonly<Record<string, string>>;
}

export interface TailnetRecord {
  readonly id: string;
  /** A DNS label, unique in the organization. */
  readonly name: string;
  readonly kind: TailnetKind;
  /** Owner of its tagged devices, towards clients: of this tailnet alone, for clients merge profiles by it. */
  readonly taggedUserId: number;
  /** Days until a person's device signs in again; 0: never. Tagged devices never. */
  readonly keyExpiryDays: number;
  /** A new device waits for an admin, unless its auth key is preauthorized. */
  readonly deviceApproval: boolean;
  readonly dns: DnsSettings;
  /** The network's policy file; null: the default policy. */
  readonly policy: string | null;
  /** Absent: nobody signs in by a provider. */
  readonly signIn?: readonly SignInRule[];
  readonly createdAt: UnixMs;
  /** When it is deleted with all that is in it. Absent or null: never. */
  readonly expiresAt?: UnixMs | null;
}

export interface UserRecord {
  /** Unique in the organization, never given out again. */
  readonly id: number;
  readonly tailnet: string;
  /** As policies name the person: `alice@example.com`. */
  readonly login: string;
  readonly displayName: string;
  readonly role: TailnetRole;
  readonly createdAt: UnixMs;
  /** Has no device and gets none. */
  readonly isSuspended?: boolean;
  /** Who it is to the provider by which the person signed in first; nobody else is this user. */
  readonly identity?: { readonly provider: string; readonly subject: string };
  /** As policies name them, without `group:`; of the last sign-in. */
  readonly groups?: readonly string[];
}

/** What a device says of itself, as far as anybody else is told. Sender-asserted. */
export interface DeviceFacts {
  readonly os: string;
  readonly hostname: string;
  /** Of the client program. */
  readonly version: string;
  /** Ports of its own services: `peerapi4`, `peerapi6`, `peerapi-dns-proxy`. */
  readonly services: readonly { readonly proto: string; readonly port: number }[];
  /** Public keys of its SSH server. */
  readonly sshHostKeys: readonly string[];
  /** Prefixes that it offers to carry; used only once approved. */
  readonly offeredRoutes: readonly string[];
}

/** Where a device may be reached: what it told last, good enough to begin with after a restart. */
export interface DeviceReach {
  readonly discoKey: KeyHex | null;
  /** Region of its home relay; 0: none yet. */
  readonly homeDerp: number;
  /** `ip:port`. */
  readonly endpoints: readonly string[];
}

export interface NodeRecord {
  /** Unique in the organization, never given out again: clients keep things by it. */
  readonly id: number;
  readonly stableId: string;
  readonly tailnet: string;
  readonly machineKey: KeyHex;
  readonly nodeKey: KeyHex;
  /** Null for a tagged device. */
  readonly userId: number | null;
  readonly tags: readonly string[];
  /** DNS label, unique in the tailnet. */
  readonly name: string;
  /** An admin chose the name: what the device calls itself changes nothing. */
  readonly isRenamed: boolean;
  readonly ipv4: string;
  readonly ipv6: string;
  readonly isEphemeral: boolean;
  readonly isAuthorized: boolean;
  /** When it has to sign in again; null: never. In the past: it has to. */
  readonly keyExpiry: UnixMs | null;
  readonly facts: DeviceFacts;
  readonly reach: DeviceReach;
  readonly approvedRoutes: readonly string[];
  readonly capabilityVersion: number;
  readonly createdAt: UnixMs;
  readonly lastSeen: UnixMs;
  /** Of the auth key that it joined with; null after a sign-in. */
  readonly authKeyId: string | null;
}

export interface AuthKeyRecord {
  readonly id: string;
  readonly tailnet: string;
  /** Keyed hash of the key, hex: the key itself is told once and kept nowhere. */
  readonly hash: string;
  readonly description: string;
  /** Whose devices it makes; null with tags. */
  readonly userId: number | null;
  readonly tags: readonly string[];
  readonly isReusable: boolean;
  readonly isEphemeral: boolean;
  readonly isPreauthorized: boolean;
  readonly expiresAt: UnixMs;
  /** Of a key for one device, once used. */
  readonly usedAt: UnixMs | null;
  readonly revokedAt: UnixMs | null;
  readonly createdAt: UnixMs;
  /** Principal. */
  readonly createdBy: string;
}

/** A program that makes access tokens of the API for itself. */
export interface ApiClientRecord {
  readonly id: string;
  readonly tailnet: string;
  /** Keyed hash of the secret, hex. */
  readonly hash: string;
  readonly description: string;
  /** What its tokens may do: `devices:core`, `policy_file:read`, `all` … */
  readonly scopes: readonly string[];
  /** Of the auth keys that it makes. */
  readonly tags: readonly string[];
  readonly createdAt: UnixMs;
  /** Principal. */
  readonly createdBy: string;
  readonly revokedAt: UnixMs | null;
}

/** Whom a tailnet tells of its events. */
export interface WebhookRecord {
  readonly id: string;
  readonly tailnet: string;
  readonly url: string;
  /** Chats get a text; the empty one gets the events themselves. */
  readonly format: '' | 'slack' | 'mattermost' | 'googlechat' | 'discord';
  readonly events: readonly string[];
  /** Of its secret. */
  readonly generation: number;
  readonly createdAt: UnixMs;
  readonly changedAt: UnixMs;
  /** Principal. */
  readonly createdBy: string;
}

/** The highest id given out: outlives every record, so that no id comes twice. */
export interface CounterRecord {
  readonly lastId: number;
}

/** Kinds of records and what they hold; the store keeps each as JSON. */
export interface RecordKinds {
  readonly counter: CounterRecord;
  readonly tailnet: TailnetRecord;
  readonly user: UserRecord;
  readonly node: NodeRecord;
  readonly auth_key: AuthKeyRecord;
  readonly api_client: ApiClientRecord;
  readonly webhook: WebhookRecord;
}

export type RecordKind = keyof RecordKinds;

export const DEFAULT_DNS: DnsSettings = {
  magicDns: true,
  resolvers: [],
  split: {},
  searchDomains: [],
  extraRecords: [],
};

export const NO_REACH: DeviceReach = { discoKey: null, homeDerp: 0, endpoints: [] };
