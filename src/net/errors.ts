/** Why a connection, a request to another server, or a listener failed: the closed set of this folder. */
import { AppError } from '../base/errors.ts';

export type DialErrorCode =
  /** The name has no address that may be dialled. */
  | 'dial_refused_address'
  /** The name did not resolve, or every address refused the connection. */
  | 'dial_failed'
  | 'dial_timeout'
  /** The handshake failed or the certificate is not that of the name. */
  | 'tls_failed';

export type UpstreamErrorCode =
  | DialErrorCode
  /** No answer's head within `firstByteMs`. */
  | 'upstream_first_byte_timeout'
  /** Silence of `idleMs` within an answer. */
  | 'upstream_idle_timeout'
  /** The connection ended before the answer did. */
  | 'upstream_closed'
  /** The other side does not speak HTTP/1.1, or its header is over the limit. */
  | 'upstream_protocol'
  /** Too many requests wait for this origin. */
  | 'upstream_busy'
  /** We ended it: the caller left, or the process stops. */
  | 'upstream_aborted'
  /** A small answer was larger than asked for. */
  | 'upstream_too_large';

export type ListenErrorCode =
  | 'listen_address_in_use'
  | 'listen_failed'
  | 'listen_socket_in_use'
  | 'listen_socket_path_too_long'
  | 'listen_socket_folder_unsafe';

export type NetErrorCode = UpstreamErrorCode | ListenErrorCode;

export function netError<Code extends NetErrorCode>(
  code: Code,
  message: string,
  cause?: unknown,
  detail?: string,
): AppError<Code> {
  return new AppError(code, message, { cause, ...(detail === undefined ? {} : { detail }) });
}

/** What is known of a connection that ended before an answer did. */
export interface UpstreamFailureFacts {
  /** The connection had served a request before this one. */
  readonly wasReused: boolean;
  /** A byte of an answer to this request had come. */
  readonly hasAnswered: boolean;
  readonly cause: Error | null;
}

/**
 * A connection that ended too soon. Whether to send again is for the pipeline: the request may
 * have been read and acted upon (RFC 9110 section 9.2.2).
 */
export class UpstreamFailure extends AppError<UpstreamErrorCode> {
  /**
   * The other side let an unused connection go just as we used it again, most likely: no byte of an
   * answer came, on a connection that had served before (RFC 9112 section 9.3.1).
   */
  readonly isStaleConnection: boolean;

  constructor(message: string, { wasReused, hasAnswered, cause }: UpstreamFailureFacts) {
    super('upstream_closed', message, cause === null ? {} : { cause, detail: cause.message });
    this.isStaleConnection = wasReused && !hasAnswered;
  }
}

/** Whether an error is one that `netError` made, so that it passes as it is. */
export function isNetError(error: unknown): error is AppError<UpstreamErrorCode> {
  return error instanceof AppError;
}

/** The `code` of a system or library error, or ''. */
export function errorCode(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}
