import type { Clock, UnixMs } from '../base/clock.ts';
import type { Logger } from '../base/log.ts';
import type { Random } from '../base/random.ts';
import type { Secret } from '../base/secret.ts';
import type { KeyState } from '../store/shapes.ts';
import type { KeyOutcome } from './key-health.ts';
import type { KeyStore } from './ports.ts';

/** A key as a request uses it. It stays valid for that request after a retirement. */
export interface ProviderKey {
  readonly id: string;
  /** How it is presented: `bearer`, `x-api-key`, `x-goog-api-key` … */
  readonly header: string;
  readonly secret: Secret;
}

/** A key that the operator's environment holds; never written to the store. */
export interface FoundKey {
  /** Origin (`https://api.openai.com`) that the key may be sent to. */
  readonly origin: string;
  readonly header: string;
  readonly secret: Secret;
  /** Name of the environment variable; the id becomes `env:<source>`. */
  readonly source: string;
}

export interface NewKey {
  /** From `newId('key', …)`, where it has to be known before; default a new one. */
  readonly id?: string;
  readonly provider: string;
  /** For people; 1 to 100 characters. */
  readonly name: string;
  readonly origin: string;
  readonly header: string;
  readonly secret: Secret;
  /** Default `active`, beside the keys that are active already. */
  readonly state?: 'staged' | 'active';
  /** Principal, or `operator`. */
  readonly createdBy: string;
}

/** What may be shown of a key. */
export interface KeyView {
  readonly id: string;
  readonly provider: string;
  readonly name: string;
  readonly origin: string;
  readonly header: string;
  /** `environment` keys live in memory only; `unreadable` ones were sealed with another master key. */
  readonly source: 'store' | 'environment' | 'unreadable';
  readonly hint: string;
  readonly state: KeyState;
  readonly createdAt: UnixMs;
  readonly createdBy: string;
  readonly stateChangedAt: UnixMs;
  /** Since this process started. */
  readonly lastUsedAt: UnixMs | null;
  readonly uses: number;
  readonly failures: number;
  readonly lastError: KeyOutcome | null;
  readonly cooldownUntil: UnixMs | null;
}

export interface VaultOptions {
  readonly store: KeyStore;
  /** 32 bytes, label `KEY_LABELS.vault`. */
  readonly key: Uint8Array;
  readonly tailnet: string;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
}

export interface Vault {
  /**
   * The key for a request to `origin`, or null if none was entered for exactly that origin. Takes
   * turns among active keys; those in a pause after failures come last. Keys that an admin added
   * come before keys found in the environment.
   */
  select(provider: string, origin: string): ProviderKey | null;
  /** Id of the key that `select` would give now; takes no turn and counts no use. */
  peek(provider: string, origin: string): string | null;
  /** Whether `select` could give a key other than this one that is not in a pause. */
  hasOtherKey(provider: string, origin: string, keyId: string): boolean;
  /** A key by id, active or retired, for provider objects that are bound to the key that made them. */
  selectById(id: string, origin: string): ProviderKey | null;
  /** Adds a key found in the environment; one that was retired or revoked before stays so while its value is the same. */
  addFound(provider: string, found: FoundKey): KeyView;
  /** No new request uses a found key any more; a later `addFound` brings it back. Unknown sources are none. */
  forgetFound(source: string): void;
  /** Throws `vault_invalid_key`, `vault_invalid_origin`, `vault_too_many_keys`. */
  add(key: NewKey): Promise<KeyView>;
  /** Makes a key active, and retires those active for the same provider and origin unless `alongside`. */
  promote(id: string, options?: { readonly alongside?: boolean }): Promise<KeyView>;
  /** No new request uses it; those under way end undisturbed. */
  retire(id: string): Promise<KeyView>;
  /** Final: the secret is wiped and the requests that use it are cut by the listeners of `onRevoked`. */
  revoke(id: string): Promise<KeyView>;
  list(): readonly KeyView[];
  noteResult(keyId: string, outcome: KeyOutcome, at: UnixMs): void;
  /** Returns the function that ends the subscription. */
  onRevoked(listener: (keyId: string) => void): () => void;
}
