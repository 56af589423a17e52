/** What this folder needs from others; `server.ts` joins them. */
import type { Clock } from '../../base/clock.ts';

export interface SmallRequest {
  readonly method: 'GET' | 'POST' | 'PUT';
  readonly headers: Readonly<Record<string, string>>;
  readonly body?: string;
  /** A longer answer is an error. */
  readonly maxBytes: number;
  /** For the whole exchange. */
  readonly timeoutMs: number;
}

export interface SmallResponse {
  readonly status: number;
  readonly body: Uint8Array;
}

/** A short request through the guarded dialer. Follows no redirects; rejects if there is no answer. */
export type FetchSmall = (url: string, request: SmallRequest) => Promise<SmallResponse>;

/** What the operator's process has that documents may not name. */
export interface OperatorCredentials {
  /** The process environment; only names that start with `AWS_` are read. */
  readonly env: Readonly<Record<string, string | undefined>>;
  readonly homeDirectory: string;
  /** UTF-8 text of a small file; rejects if it cannot be read. Paths come from `env` and the home directory only. */
  readonly readFile: (path: string) => Promise<string>;
  /**
   * For AWS container and instance metadata; null unless the operator enabled ambient credentials
   * for `aws`. Its dialer lets the metadata addresses by.
   */
  readonly fetchAwsMetadata: FetchSmall | null;
  /** The same for Google's metadata server, and `gcp`. */
  readonly fetchGcpMetadata: FetchSmall | null;
  /**
   * Origins that may be sent the operator's own credentials besides those of AWS and Google: from
   * the operator's settings, never from a document.
   */
  readonly trustedOrigins: ReadonlySet<string>;
}

export interface ProvidersPorts {
  readonly clock: Clock;
  readonly fetchSmall: FetchSmall;
  readonly operator: OperatorCredentials;
}
