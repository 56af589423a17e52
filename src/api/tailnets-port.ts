/** What the API asks of the coordination server. Refusals carry their `coordination_…` codes. */

export interface TailnetView {
  readonly id: string;
  readonly name: string;
  readonly kind: 'people' | 'machines';
  /** Of its devices' names. */
  readonly domain: string;
  readonly keyExpiryDays: number;
  readonly deviceApproval: boolean;
  /** HuJSON; null: the default policy. */
  readonly policy: string | null;
  /** Of the policy in force; quoted, for `ETag` and `If-Match`. */
  readonly policyTag: string;
  readonly users: number;
  readonly devices: number;
  readonly online: number;
  readonly createdAt: number;
}

/** What devices of a tailnet resolve, and where. */
export interface TailnetDnsView {
  readonly magicDns: boolean;
  /** By address; empty leaves each device its own. */
  readonly resolvers: readonly string[];
  /** Suffix to the resolvers that answer for it. */
  readonly split: Readonly<Record<string, readonly string[]>>;
  readonly searchDomains: readonly string[];
  /** `value` is an IP address. */
  readonly extraRecords: readonly { readonly name: string; readonly value: string }[];
}

export interface TailnetDeviceView {
  readonly id: string;
  readonly name: string;
  readonly domainName: string;
  readonly hostname: string;
  readonly os: string;
  readonly version: string;
  readonly user: string | null;
  readonly tags: readonly string[];
  readonly addresses: readonly string[];
  readonly isOnline: boolean;
  readonly isAuthorized: boolean;
  readonly isEphemeral: boolean;
  readonly keyExpiry: number | null;
  readonly offeredRoutes: readonly string[];
  readonly approvedRoutes: readonly string[];
  readonly lastSeen: number;
  readonly createdAt: number;
}

export interface TailnetKeyView {
  readonly id: string;
  readonly description: string;
  readonly user: string | null;
  readonly tags: readonly string[];
  readonly isReusable: boolean;
  readonly isEphemeral: boolean;
  readonly isPreauthorized: boolean;
  readonly expiresAt: number;
  readonly usedAt: number | null;
  readonly revokedAt: number | null;
  readonly createdAt: number;
  readonly createdBy: string;
}

export interface WaitingDeviceView {
  readonly code: string;
  readonly hostname: string;
  readonly os: string;
  /** Of its machine key: what the person at the device compares. */
  readonly fingerprint: string;
  readonly tags: readonly string[];
  readonly since: number;
}

export interface NewTailnetKey {
  readonly description: string;
  /** Login of the person whose devices it makes; null with tags. */
  readonly user: string | null;
  readonly tags: readonly string[];
  readonly isReusable: boolean;
  readonly isEphemeral: boolean;
  readonly isPreauthorized: boolean;
  readonly lifeMs: number;
  readonly createdBy: string;
}

export interface TailnetDeviceChange {
  readonly name?: string;
  readonly tags?: readonly string[];
  readonly isAuthorized?: boolean;
  readonly approvedRoutes?: readonly string[];
  /** Null: never. */
  readonly keyExpiry?: number | null;
}

/** `tailnet` is a name or an id everywhere. */
export interface TailnetsPort {
  /** For `tailscale up --login-server`. */
  loginServer(): string;
  list(): readonly TailnetView[];
  get(tailnet: string): TailnetView;
  create(tailnet: {
    readonly name: string;
    readonly kind: 'people' | 'machines';
    readonly policy: string | null;
  }): Promise<TailnetView>;
  change(
    tailnet: string,
    change: {
      readonly keyExpiryDays?: number;
      readonly deviceApproval?: boolean;
      readonly policy?: string | null;
      /** Refused if the policy in force is another than this `policyTag`; `*` is any. */
      readonly overPolicy?: string;
    },
  ): Promise<TailnetView>;
  dns(tailnet: string): TailnetDnsView;
  setDns(tailnet: string, dns: TailnetDnsView): Promise<TailnetDnsView>;
  delete(tailnet: string): Promise<void>;
  keys(tailnet: string): readonly TailnetKeyView[];
  /** The key's text is told once. */
  createKey(
    tailnet: string,
    key: NewTailnetKey,
  ): Promise<{ readonly key: TailnetKeyView; readonly text: string }>;
  revokeKey(tailnet: string, id: string): Promise<void>;
  devices(tailnet: string): readonly TailnetDeviceView[];
  changeDevice(tailnet: string, device: string, change: TailnetDeviceChange): Promise<TailnetDeviceView>;
  removeDevice(tailnet: string, device: string): Promise<void>;
  waiting(): readonly WaitingDeviceView[];
  /** `user` null: the tailnet's owner. */
  approve(code: string, tailnet: string, user: string | null): Promise<WaitingDeviceView>;
  refuse(code: string): Promise<WaitingDeviceView>;
}
