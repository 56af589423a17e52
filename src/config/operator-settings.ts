/** The operator's settings: what the process may do, given by flags, environment and one file. Never by the API. */
import type { Secret } from '../base/secret.ts';
import type { SignInProviderSettings } from './sign-in-kind.ts';

/** Where a value came from; the strongest first. */
export type SettingOrigin =
  | { readonly kind: 'flag'; readonly name: string }
  | { readonly kind: 'environment'; readonly name: string }
  | { readonly kind: 'file'; readonly path: string }
  | { readonly kind: 'default' };

export interface ListenAddress {
  /** `localhost`, or an IP address without brackets. */
  readonly host: string;
  /** 0 lets the system choose. */
  readonly port: number;
  /** `localhost`, 127.0.0.0/8 or ::1. `localhost` opens both families. */
  readonly loopback: boolean;
}

/** A claim that a token must carry with exactly this value; binds an issuer of many tenants to one. */
export interface TenantClaim {
  readonly name: string;
  readonly value: string;
}

export interface JwtDoorSettings {
  /** Exact value of `iss`. */
  readonly issuer: string;
  /** Values of `aud`, one of which must be there. */
  readonly audience: readonly string[];
  /** Asymmetric ones only. */
  readonly algorithms: readonly string[];
  /** Null: found through the issuer's discovery document. */
  readonly jwksUrl: string | null;
  /** All must hold; at least one. */
  readonly tenantClaims: readonly TenantClaim[];
  /** Claim that names the person; default `email`, else `sub`. */
  readonly loginClaim: string | null;
  /** Claim with group names; null for none. */
  readonly groupsClaim: string | null;
}

/** The mail server for notices. */
export interface MailServerSettings {
  readonly host: string;
  readonly port: number;
  readonly tls: 'implicit' | 'starttls' | 'none';
  readonly from: string;
  readonly user: string | null;
  readonly password: Secret | null;
}

export interface OperatorSettings {
  readonly listen: ListenAddress;
  readonly stateDir: string;
  /** Path of the settings file, there or not. */
  readonly settingsFile: string;
  readonly settingsFileFound: boolean;
  /** Path of the gateway document; null: the store holds it. */
  readonly config: string | null;
  /** CIDRs of private addresses that may be dialled. */
  readonly allowUpstream: readonly string[];
  readonly ambientCredentials: readonly ('aws' | 'gcp')[];
  /** Origins besides the clouds' own that may be sent ambient credentials. */
  readonly credentialOrigins: readonly string[];
  /** Break-glass admin token. */
  readonly adminToken: Secret | null;
  /** 32 bytes in base64; null: `ensureMasterKey` finds or makes one in the state folder. */
  readonly masterKey: Secret | null;
  /** Principals that are admins from the start (`tailscale:userid:123`, `local:1000`). */
  readonly admins: readonly string[];
  /** Address that other devices use; opens the public listener. */
  readonly publicUrl: string | null;
  /** Opens the public listener on this machine's addresses. */
  readonly lan: boolean;
  /** Further names that `Host` may carry. */
  readonly hosts: readonly string[];
  readonly doors: {
    readonly tailscaled: {
      readonly enabled: boolean;
      readonly socket: string;
      /** Ports on the tailnet addresses; 0 lets the system choose. */
      readonly httpPort: number;
      readonly httpsPort: number;
    };
    /** Postern's own network: devices join by a WireGuard configuration that an admin makes. */
    readonly node: {
      readonly enabled: boolean;
      /** For WireGuard; 0 lets the system choose. */
      readonly udpPort: number;
      /** `host:port` where devices reach it; null: this machine's first address. */
      readonly endpoint: string | null;
      /** Origins of control servers whose network an admin may join (`postern up`). */
      readonly loginServers: readonly string[];
      /** For direct paths in a joined network; 0 lets the system choose. */
      readonly tailnetUdpPort: number;
    };
    /** Address or socket path of the listener behind `tailscale serve`; null: off. */
    readonly serve: { readonly listen: ListenAddress | { readonly socketPath: string } | null };
    readonly jwt: readonly JwtDoorSettings[];
  };
  /** How people sign in to Postern's own tailnets. */
  readonly signIn: { readonly providers: readonly SignInProviderSettings[] };
  /** PEM files of further authorities for outbound TLS. */
  readonly caFiles: readonly string[];
  /** The public listener speaks HTTP unless `tls` names files. */
  readonly dangerouslyAllowPlainHttp: boolean;
  readonly tls: { readonly certFile: string; readonly keyFile: string } | null;
  readonly limits: {
    readonly bodyMaxBytes: number;
    readonly headerMaxBytes: number;
    readonly connectionsMax: number;
  };
  readonly timeouts: {
    readonly headersMs: number;
    readonly requestMs: number;
    readonly connectMs: number;
    readonly firstByteMs: number;
    readonly idleMs: number;
  };
  /** Null: no mail is sent. */
  readonly mail: MailServerSettings | null;
  readonly log: { readonly level: 'debug' | 'info' | 'warn' | 'error'; readonly format: 'text' | 'json' };
  /** By the setting's name (`doors.tailscaled.enabled`). */
  readonly origins: ReadonlyMap<string, SettingOrigin>;
  /** Names of settings that weaken security and are on; `doctor` lists them. */
  readonly dangerous: readonly string[];
}
