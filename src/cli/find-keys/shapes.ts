/** What a search for keys finds, and where. A key itself is always in a `Secret`. */
import type { KeyConfidence } from '../../llm/key-formats.ts';
import type { Secret } from '../../base/secret.ts';

/** A variable of this process's environment. */
export interface EnvironmentPlace {
  readonly type: 'environment';
  readonly variable: string;
}

export interface FilePlace {
  readonly type: 'file';
  /** Absolute, without symbolic links. */
  readonly path: string;
  /** From 1. */
  readonly line: number;
  /** From 1, in UTF-16 units. */
  readonly column: number;
  /** Permission bits; null where the system has none. */
  readonly mode: number | null;
}

/** One key in one path of a repository's history, over all versions of that path. */
export interface GitPlace {
  readonly type: 'git';
  /** Folder of the repository, absolute. */
  readonly repository: string;
  /** Within the repository; null for a message, and for an object that no commit names any more. */
  readonly path: string | null;
  /** In the version that came first. */
  readonly line: number;
  /** First commit with it, or null where no commit is known. */
  readonly commit: string | null;
  /** When that commit was made, RFC 3339, or null. */
  readonly since: string | null;
  /** Versions that hold it. */
  readonly versions: number;
  /** The checked-out commit still holds it. */
  readonly current: boolean;
  /** `file`, or the kind of object whose message holds it. */
  readonly holder: 'file' | 'commit' | 'tag';
}

export type Place = EnvironmentPlace | FilePlace | GitPlace;

export interface Finding {
  readonly service: string;
  readonly kind: string;
  readonly confidence: KeyConfidence;
  readonly secret: Secret;
  readonly place: Place;
  /** Client whose setting this is, or null. */
  readonly client: ClientId | null;
  /** Name of the variable or member that holds it, if one stands before it. */
  readonly setting: string | null;
}

/** Programs whose settings are known to hold keys. */
export type ClientId =
  | 'claude'
  | 'codex'
  | 'gemini'
  | 'opencode'
  | 'cursor'
  | 'continue'
  | 'aider'
  | 'zed'
  | 'vscode'
  | 'jetbrains'
  | 'cline'
  | 'goose'
  | 'llm'
  | 'crush'
  | 'shell'
  | 'netrc'
  | 'npm'
  | 'pypi'
  | 'git'
  | 'dotenv'
  | 'backup';

/** Something that was not searched, and why; one entry stands for all with the same reason. */
export interface Skipped {
  readonly reason: SkipReason;
  readonly count: number;
  /** The first of them. */
  readonly example: string;
}

export type SkipReason =
  | 'node_modules'
  | 'ignored'
  | 'symbolic link'
  | 'binary'
  | 'too large'
  | 'too deep'
  | 'not readable'
  | 'not a regular file'
  | 'repository elsewhere'
  | 'repository not readable';

export interface SearchResult {
  readonly findings: readonly Finding[];
  readonly files: number;
  readonly repositories: number;
  readonly objects: number;
  readonly skipped: readonly Skipped[];
  /** Why the search ended early, or null if it saw everything. */
  readonly stoppedBy: string | null;
}
