import type { ProviderKeyRow } from '../store/shapes.ts';

/** The part of a store that the vault needs. */
export interface KeyStore {
  listProviderKeys(tailnet: string): Promise<readonly ProviderKeyRow[]>;
  /** Inserts, or replaces the row of the same tailnet and id. */
  putProviderKey(key: ProviderKeyRow): Promise<void>;
}
