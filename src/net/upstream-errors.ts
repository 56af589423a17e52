/** What undici and the system throw, as the closed codes of this folder. */
import type { AppError } from '../base/errors.ts';
import { type UpstreamErrorCode, errorCode, isNetError, netError } from './errors.ts';

/** Messages name the origin, never a header or a body. */
export function toUpstreamError(error: unknown, origin: string): AppError<UpstreamErrorCode> {
  if (isNetError(error)) return error;
  const detail = error instanceof Error ? error.message : String(error);
  switch (errorCode(error)) {
    case 'UND_ERR_HEADERS_TIMEOUT':
      return netError('upstream_first_byte_timeout', `${origin} did not answer in time`, error, detail);
    case 'UND_ERR_BODY_TIMEOUT':
      return netError('upstream_idle_timeout', `${origin} stopped sending`, error, detail);
    case 'UND_ERR_CONNECT_TIMEOUT':
      return netError('dial_timeout', `${origin} could not be reached in time`, error, detail);
    case 'UND_ERR_ABORTED':
    case 'UND_ERR_DESTROYED':
    case 'UND_ERR_CLOSED':
    case 'ABORT_ERR':
      return netError('upstream_aborted', 'the exchange was stopped', error, detail);
    case 'UND_ERR_HEADERS_OVERFLOW':
      return netError(
        'upstream_protocol',
        `the answer of ${origin} has headers over the limit`,
        error,
        detail,
      );
    case 'UND_ERR_SOCKET':
    case 'UND_ERR_INFO':
    case 'ECONNRESET':
    case 'EPIPE':
    case 'ETIMEDOUT':
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
