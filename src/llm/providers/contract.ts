/**
 * What a provider kind is given and what it makes of it: the request of a caller, cleaned of the
 * caller's credentials, becomes the request that the provider expects.
 */
import { AppError } from '../../base/errors.ts';
import type { AppErrorOptions } from '../../base/errors.ts';
import type { Secret } from '../../base/secret.ts';
import type { SurfaceMatch } from '../surface.ts';

/** Kinds of upstream; each has a file of its own in this folder. */
export type UpstreamKind =
  | 'openai'
  | 'anthropic'
  | 'gemini'
  | 'vertex'
  | 'bedrock'
  | 'azure'
  | 'openrouter'
  | 'compatible';

/** The provider as its document says. The object should live as long as its policy: work done for it is cached by it. */
export interface UpstreamProvider {
  readonly kind: UpstreamKind;
  readonly baseUrl: UpstreamBaseUrl;
  /** How a key is presented where the credential does not name its header. */
  readonly authorization: 'bearer' | 'x-api-key' | 'x-goog-api-key';
  readonly authMode: 'override' | 'passthrough' | 'none';
  /** Set on every call, over what the caller sent. Names that frame the message are left out. */
  readonly addHeaders: readonly (readonly [name: string, value: string])[];
}

export interface UpstreamBaseUrl {
  /** Scheme, host and port. */
  readonly origin: string;
  /** '' or a path that begins with a slash; a stray version at its end is understood. */
  readonly pathPrefix: string;
  /** Query of the base URL without the question mark (`api-version=…` for Azure); absent for none. */
  readonly query?: string;
}

/** What the operator entered for a provider. */
export interface UpstreamCredential {
  /** `bearer` or `authorization` for a bearer token, else the header's name (`x-api-key`, `api-key` …). */
  readonly header: string;
  /**
   * A key; or, for `vertex`, a Google service-account key (`keyfile::<base64>` or its JSON); or, for
   * `bedrock`, JSON with `accessKeyId` and `secretAccessKey`.
   */
  readonly secret: Secret;
}

export interface UpstreamInput {
  readonly provider: UpstreamProvider;
  readonly match: SurfaceMatch;
  /** Upstream id of the model; '' where the route names none. */
  readonly model: string;
  readonly method: string;
  /** As the caller sent it, without the query. */
  readonly path: string;
  /** Without the question mark and without credentials. */
  readonly query: string;
  /** Flat list of names and values, without credentials, hop-by-hop headers and Postern's own. */
  readonly headers: readonly string[];
  /** Null: none was entered. Bedrock and Vertex then use the operator's own where that is allowed. */
  readonly credential: UpstreamCredential | null;
  readonly body: Buffer;
  /** The matching grant's headers; they come after the provider's and win over them. */
  readonly addHeaders?: readonly (readonly [name: string, value: string])[];
}

/** Ready to be sent. */
export interface UpstreamRequest {
  readonly origin: string;
  /** Path and query. */
  readonly path: string;
  /** Flat list of names and values; `host` is left to the connection. */
  readonly headers: string[];
  readonly body: Buffer;
}

/**
 * Why no request could be made. `upstream_credential_invalid`: the stored credential has not the
 * form that its kind needs. `upstream_credential_missing`: none, and none of the operator's may be
 * used. `upstream_credential_rejected`: its issuer said no. `upstream_credential_unavailable`: its
 * issuer could not be asked. `upstream_path_refused`: a path that is not the format's.
 * `upstream_place_unknown`: region or project cannot be told. `upstream_place_refused`: the caller
 * named a project or location that the provider is not for. `upstream_format_unsupported`: this
 * kind does not speak the format.
 */
export type UpstreamErrorCode =
  | 'upstream_credential_invalid'
  | 'upstream_credential_missing'
  | 'upstream_credential_rejected'
  | 'upstream_credential_unavailable'
  | 'upstream_path_refused'
  | 'upstream_place_unknown'
  | 'upstream_place_refused'
  | 'upstream_format_unsupported';

/** An `AppError` of this folder. */
export function upstreamError(
  code: UpstreamErrorCode,
  message: string,
  options: AppErrorOptions = {},
): AppError<UpstreamErrorCode> {
  return new AppError(code, message, options);
}
