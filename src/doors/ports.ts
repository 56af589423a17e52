/** What the doors need from others, in their own words; `server.ts` joins them. */
import type { UnixMs } from '../base/clock.ts';
import type { TokenRow } from '../store/shapes.ts';

/** The part of the store that keeps tokens. */
export interface TokenStore {
  listTokens(tailnet: string): Promise<readonly TokenRow[]>;
  putToken(token: TokenRow): Promise<void>;
  revokeToken(tailnet: string, id: string, at: UnixMs): Promise<boolean>;
  touchTokens(used: readonly { readonly id: string; readonly at: UnixMs }[]): Promise<void>;
}

/** The part of the store that keeps small values by name. */
export interface SettingStore {
  getSetting(name: string): Promise<string | null>;
  putSetting(name: string, value: string): Promise<void>;
}

/**
 * Fetches and parses a small JSON document (a key set, a discovery document) through the guarded
 * dialer, bounded in bytes and time. Rejects unless the status is 200 and the body is JSON.
 */
export type FetchJson = (url: string) => Promise<unknown>;
