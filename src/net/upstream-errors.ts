/** What sockets and handlers throw, as the closed codes of this folder. */
import type { AppError } from '../base/errors.ts';
import { type UpstreamErrorCode, errorCode, isNetError, netError } from './errors.ts';

/** Messages name the origin, never a header or a body. */
export function toUpstreamError(error: unknown, origin: string): AppError<UpstreamErrorCode> {
  if (isNetError(error)) return error;
  const detail = error instanceof Error ? error.message : String(error);
  switch (errorCode(error)) {
    case 'ABORT_ERR':
      return netError('upstream_aborted', 'the exchange was stopped', error, detail);
    case 'ECONNRESET':
    case 'ECONNABORTED':
    case 'EPIPE':
    case 'ETIMEDOUT':
    case 'ENETDOWN':
    case 'ENETUNREACH':
    case 'EHOSTUNREACH':
    case 'ERR_STREAM_DESTROYED':
    case 'ERR_STREAM_WRITE_AFTER_END':
      return netError(
        'upstream_closed',
        `${origin} closed the connection before the answer ended`,
        error,
        detail,
      );
    default:
      return netError('upstream_protocol', `the exchange with ${origin} failed`, error, detail);
  }
}
