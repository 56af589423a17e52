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

/** Whether an error is one that `netError` made, so that it passes as it is. */
export function isNetError(error: unknown): error is AppError<UpstreamErrorCode> {
  return error instanceof AppError;
}

/** The `code` of a system or library error, or ''. */
export function errorCode(error: unknown): string {
  if (typeof error !== 'object' || error === null || !('code' in error)) return '';
  return typeof error.code === 'string' ? error.code : '';
}
