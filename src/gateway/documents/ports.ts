/** What documents need from store, vault and the machine; joined in the composition root. */
import type { UnixMs } from '../../base/clock.ts';
import type { Secret } from '../../base/secret.ts';
import type { StoredGrantView } from '../../policy/index.ts';

export interface StoredDocument {
  readonly version: number;
  readonly tailnet: string;
  readonly text: string;
  readonly createdAt: UnixMs;
  readonly createdBy: string;
  readonly comment: string;
}

/** The part of the store that keeps documents. */
export interface DocumentStore {
  latestDocument(tailnet: string): Promise<StoredDocument | null>;
  getDocument(tailnet: string, version: number): Promise<StoredDocument | null>;
  /** Newest first: those before a version, or all for null. */
  listDocuments(
    tailnet: string,
    page: { readonly limit: number; readonly before: number | null },
  ): Promise<readonly Omit<StoredDocument, 'text'>[]>;
  /** Rejects with code `store_conflict` unless `expectedVersion` is the latest. */
  putDocument(document: Omit<StoredDocument, 'version'>, expectedVersion: number): Promise<number>;
  listGrants(): Promise<readonly StoredGrantView[]>;
}

/** The part of the vault that takes keys that were written into a document. */
export interface DocumentVault {
  /** Keeps a key that an admin wrote into a document; staged, so that a save that fails changes nothing. */
  add(key: {
    readonly provider: string;
    readonly name: string;
    readonly origin: string;
    readonly header: string;
    readonly secret: Secret;
    readonly state: 'staged';
    readonly createdBy: string;
  }): Promise<{ readonly id: string }>;
  /** Makes it the key of its provider; former ones finish what they began. */
  promote(id: string): Promise<unknown>;
  /** Forgets it. */
  revoke(id: string): Promise<unknown>;
  /** Keys of the operator's file: in memory only, one per `source`; the latest call for a source wins. */
  addFound(
    provider: string,
    key: {
      readonly origin: string;
      readonly header: string;
      readonly secret: Secret;
      readonly source: string;
    },
  ): unknown;
  /** The operator's file names the key of this source no more: no new request uses it. */
  forgetFound(source: string): void;
}

/** The operator's file and its watcher. */
export interface DocumentFiles {
  /** Rejects if it cannot be read; refuses more than `maxBytes`. */
  readText(path: string, maxBytes: number): Promise<string>;
  /** Calls back, possibly often, when the file or its folder changes; returns what ends the watch. */
  watch(path: string, onChange: () => void): () => void;
}
