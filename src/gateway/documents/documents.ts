/**
 * The gateway document of one tailnet as it lives: which text is in force, how it changes, and the
 * policy snapshot that the hot path reads. The text comes either from the store, with versions, or
 * from a file that the operator owns and that is watched and never written.
 */
import type { UnixMs } from '../../base/clock.ts';
import type { Caller } from '../../identity/caller.ts';
import type { PolicySnapshot, Problem, TestFailure } from '../../policy/index.ts';

/** Who saves: a caller (checked against locking himself out) or the operator's break-glass token. */
export interface DocumentActor {
  /** Principal or `operator`. */
  readonly principal: string;
  /** Null for the operator, who cannot lock himself out. */
  readonly caller: Caller | null;
}

export interface SaveRequest {
  readonly text: string;
  /** The version that the text was edited from; 0 where there was none. */
  readonly expectedVersion: number;
  readonly actor: DocumentActor;
  /** Shown in the list of versions; '' for none. */
  readonly comment: string;
}

export interface SaveResult {
  readonly version: number;
  readonly etag: string;
  readonly notes: readonly Problem[];
}

/** What checking a text found; `ok` means that saving it would be accepted. */
export interface Validation {
  readonly ok: boolean;
  readonly problems: readonly Problem[];
  readonly testFailures: readonly TestFailure[];
}

export interface DocumentText {
  /** HuJSON without any secret. */
  readonly text: string;
  /** 0 where no document was ever saved, or where a file owns it. */
  readonly version: number;
  /** Quoted, for `ETag` and `If-Match`. */
  readonly etag: string;
  readonly source: 'store' | 'file' | 'none';
  /** The file's path, if a file owns the document. */
  readonly path: string | null;
}

export interface VersionInfo {
  readonly version: number;
  readonly createdAt: UnixMs;
  readonly createdBy: string;
  readonly comment: string;
}

/** Of the list of versions, newest first. */
export interface VersionsPage {
  /** 1 to 500; default 100. */
  readonly limit?: number;
  /** Only versions before this one; default all. */
  readonly before?: number | null;
}

/** What keeps the newest text from being in force; the last good one serves meanwhile. */
export interface DocumentFault {
  readonly at: UnixMs;
  readonly message: string;
  readonly problems: readonly Problem[];
}

export interface Documents {
  /** The policy in force. Never null, never throws. */
  current(): PolicySnapshot;
  /** Version number of the text in force; 0 for none or a file. */
  version(): number;
  etag(): string;
  lastError(): DocumentFault | null;
  /** What was said about the text in force. */
  problems(): readonly Problem[];
  text(): DocumentText;
  validate(text: string, actor?: DocumentActor): Promise<Validation>;
  /**
   * Makes a text the document. Throws `DocumentError`: `config_is_file`, `config_conflict`,
   * `config_invalid` (with problems), `config_tests_failed`, `config_locks_out`.
   */
  save(request: SaveRequest): Promise<SaveResult>;
  versions(page?: VersionsPage): Promise<readonly VersionInfo[]>;
  /** Null where no such version is kept. */
  versionText(version: number): Promise<string | null>;
  /** Unified diff of two versions. Throws `config_unknown_version`. */
  diff(from: number, to: number): Promise<string>;
  /** Saves an old version's text as the newest one, with every check of `save`. */
  rollback(request: Omit<SaveRequest, 'text'> & { readonly version: number }): Promise<SaveResult>;
  /** Reads stored grants again after they changed. */
  reloadGrants(): Promise<void>;
  /** Looks at the file (or store) again now; also what the watcher does. */
  reload(): Promise<void>;
  /** Called with each new policy that comes into force; returns the function that ends the subscription. */
  onChange(listener: (policy: PolicySnapshot) => void): () => void;
  /** Called when a newer text could not come into force; returns the function that ends the subscription. */
  onFault(listener: (fault: DocumentFault) => void): () => void;
  close(): void;
}
