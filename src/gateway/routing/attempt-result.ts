/**
 * How one attempt at a provider ended, before a byte of it reached the caller, and what that means:
 * whose fault it is (for `health.ts`) and whether the request was acted upon (for `retry.ts`).
 */
import type { AppError } from '../../base/errors.ts';
import type { UnixMs } from '../../base/clock.ts';
import { UpstreamFailure, type UpstreamErrorCode } from '../../net/index.ts';
import type { RawHeaders } from '../response-headers.ts';
import { readRetryAdvice, type RetryAdvice } from './retry-after.ts';

export type AttemptResult =
  /** The head of an answer came. */
  | ({ readonly kind: 'head'; readonly status: number } & RetryAdvice)
  /** No answer. `isStale`: an idle connection that the provider let go as it was used again. */
  | { readonly kind: 'failure'; readonly code: UpstreamErrorCode; readonly isStale: boolean }
  /** The credential that the provider asks for could not be had (minted, signed): nothing was sent. */
  | { readonly kind: 'no_credential' };

/**
 * Who is to blame. `unreachable`: nobody at the provider's address could be spoken to. `failing`:
 * the provider was reached and could not serve the model. `limited`: it said "too many" to the key.
 * `key_rejected`: it does not take the key.
 */
export type Fault = 'unreachable' | 'failing' | 'limited' | 'key_rejected';

export interface Judgement {
  /** Null: nothing is wrong with provider and key. The caller's own fault (4xx) is none of theirs. */
  readonly fault: Fault | null;
  /** Another attempt could end differently. */
  readonly isWorthRetrying: boolean;
  /** Whether the provider may have acted on the request. */
  readonly processed: 'no' | 'perhaps';
  /** No answer came although the request was sent: what it cost is not known. */
  readonly mayBeCharged: boolean;
}

const GOOD: Judgement = { fault: null, isWorthRetrying: false, processed: 'perhaps', mayBeCharged: false };
const UNREACHABLE = refusedBy('unreachable');
const LIMITED = refusedBy('limited');
const KEY_REJECTED = refusedBy('key_rejected');
const OVERLOADED = refusedBy('failing');
/** Our own limit, or a connection that had gone: nobody's fault. */
const NOT_SENT: Judgement = { fault: null, isWorthRetrying: true, processed: 'no', mayBeCharged: false };
const STALE: Judgement = { fault: null, isWorthRetrying: true, processed: 'perhaps', mayBeCharged: false };
const FAILED: Judgement = {
  fault: 'failing',
  isWorthRetrying: true,
  processed: 'perhaps',
  mayBeCharged: false,
};
const UNANSWERED: Judgement = {
  fault: 'failing',
  isWorthRetrying: true,
  processed: 'perhaps',
  mayBeCharged: true,
};

function refusedBy(fault: Fault): Judgement {
  return { fault, isWorthRetrying: true, processed: 'no', mayBeCharged: false };
}

/** The result of an answer's head. `now` is for dates in it; headers are read only where they matter. */
export function resultOfHead(status: number, rawHeaders: RawHeaders, now: UnixMs): AttemptResult {
  if (status < 400) return { kind: 'head', status, retryAfterMs: null, shouldRetry: null };
  return { kind: 'head', status, ...readRetryAdvice(rawHeaders, now) };
}

/** The result of a failure before any head. */
export function resultOfError(error: AppError<UpstreamErrorCode>): AttemptResult {
  const isStale = error instanceof UpstreamFailure && error.isStaleConnection;
  return { kind: 'failure', code: error.code, isStale };
}

export function judge(result: AttemptResult): Judgement {
  switch (result.kind) {
    case 'head':
      return judgeStatus(result.status);
    case 'no_credential':
      return UNREACHABLE;
    case 'failure':
    default:
      return judgeFailure(result.code, result.isStale);
  }
}

/** Whether another key of the same provider could do better. */
export function isOfKey(fault: Fault | null): boolean {
  return fault === 'limited' || fault === 'key_rejected';
}

/**
 * Statuses as providers use them. 403 is not held against the key: it is also what a key gets that
 * may not use the model which the caller named, and a caller must not be able to rest a key.
 */
function judgeStatus(status: number): Judgement {
  switch (status) {
    case 401:
      return KEY_REJECTED;
    case 408: // the request did not arrive in time: it was whole before it was sent
    case 503:
    case 529: // Anthropic: overloaded
      return OVERLOADED;
    case 429:
      return LIMITED;
    case 504:
    case 524: // a proxy before the provider gave up waiting; the provider may still be at work
      return UNANSWERED;
    case 501:
    case 505:
      return GOOD;
    default:
      return status >= 500 ? FAILED : GOOD;
  }
}

function judgeFailure(code: UpstreamErrorCode, isStale: boolean): Judgement {
  switch (code) {
    case 'dial_refused_address':
    case 'dial_failed':
    case 'dial_timeout':
    case 'tls_failed':
      return UNREACHABLE;
    case 'upstream_busy':
      return NOT_SENT;
    case 'upstream_closed':
      return isStale ? STALE : UNANSWERED;
    case 'upstream_first_byte_timeout':
    case 'upstream_idle_timeout':
    case 'upstream_protocol':
      return UNANSWERED;
    case 'upstream_aborted':
    case 'upstream_too_large':
      return GOOD;
    default:
      return code satisfies never;
  }
}
