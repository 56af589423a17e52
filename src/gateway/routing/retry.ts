/**
 * Whether a request goes out again after an attempt that failed before a byte of it reached the
 * caller. Pure.
 *
 * A POST is not idempotent (RFC 9110 section 9.2.2), yet a generation may be asked for again: what
 * it costs is the price of one more, and the caller gets one answer. Two things end that: a request
 * that leaves something behind at the provider is sent again only where the provider did not act on
 * the first, and a request under a strict budget only where the first cannot have been charged.
 */
import { isOfKey, judge, type AttemptResult } from './attempt-result.ts';

/** 60 s: no attempt begins later than that after the first; SDKs and people have gone by then. */
export const RETRY_WINDOW_MS = 60_000;
/** A session is worth this wait for its prompt cache before another target is taken. */
const WAIT_BESIDE_OTHERS_MS = 1_000;
/** Without another target; a longer pause is told to the caller, whose SDK can wait itself. */
const WAIT_ALONE_MS = 10_000;
const BACKOFF_FIRST_MS = 250;
const BACKOFF_MAX_MS = 4_000;
/** Spread over waiters that were given the same moment. */
const SPREAD_MS = 250;

export interface RetryQuestion {
  readonly result: AttemptResult;
  /** Attempts made, this one included; from 1. */
  readonly attempts: number;
  /** Further attempts that policy allows. */
  readonly retries: number;
  /** Monotonic. */
  readonly nowMark: number;
  /** From `retryDeadline`; no attempt begins after it. */
  readonly deadlineMark: number;
  /** A byte of an answer was sent to the caller, or the caller is gone. */
  readonly isTooLate: boolean;
  /** From `isRepeatable`: the request may be acted upon twice. */
  readonly isRepeatable: boolean;
  /** Nobody's strict budget is overrun if the attempt is charged beside the next. */
  readonly mayCostTwice: boolean;
  /** Another key of the same provider is not in trouble. */
  readonly hasOtherKey: boolean;
  /** Another target is not in trouble. */
  readonly hasOtherTarget: boolean;
  /** The same target is not in trouble, this result counted. */
  readonly isSameUsable: boolean;
  /** 0 to 1, at random: callers that failed together do not come back together. */
  readonly jitter: number;
}

/** Why there is no further attempt. */
export type StopReason =
  | 'answered' /* nothing that another attempt would mend */
  | 'too_late' /* the caller has a part of an answer, or has gone */
  | 'attempts_spent'
  | 'told_not_to' /* by the provider */
  | 'not_repeatable'
  | 'may_cost_twice'
  | 'no_target' /* all others are in trouble, and this one too */
  | 'no_time';

export type RetryPlan =
  | { readonly kind: 'stop'; readonly why: StopReason }
  /** `other_key`: same target, another key. `afterMs` is 0 but for `same`. */
  | { readonly kind: 'retry'; readonly on: 'same' | 'other_key' | 'next'; readonly afterMs: number };

export function retryPlan(question: RetryQuestion): RetryPlan {
  const { result } = question;
  const judged = judge(result);
  const isHead = result.kind === 'head';
  if (!judged.isWorthRetrying) return stop('answered');
  if (question.isTooLate) return stop('too_late');
  if (question.attempts > question.retries) return stop('attempts_spent');
  if (judged.processed === 'perhaps' && !question.isRepeatable) return stop('not_repeatable');
  if (judged.mayBeCharged && !question.mayCostTwice) return stop('may_cost_twice');
  const leftMs = question.deadlineMark - question.nowMark;
  if (leftMs <= 0) return stop('no_time');
  if (isOfKey(judged.fault) && question.hasOtherKey) return { kind: 'retry', on: 'other_key', afterMs: 0 };
  const statedMs = isHead ? result.retryAfterMs : null;
  const mayAskSame = !(isHead && result.shouldRetry === false) && judged.fault !== 'key_rejected';
  if (question.hasOtherTarget) {
    const isWorthWaiting = mayAskSame && statedMs !== null && statedMs <= WAIT_BESIDE_OTHERS_MS;
    if (!isWorthWaiting) return { kind: 'retry', on: 'next', afterMs: 0 };
  }
  if (!mayAskSame) return stop('told_not_to');
  return askSame(question, statedMs, leftMs);
}

function askSame(question: RetryQuestion, statedMs: number | null, leftMs: number): RetryPlan {
  const { attempts, jitter } = question;
  const otherwise: RetryPlan = question.hasOtherTarget
    ? { kind: 'retry', on: 'next', afterMs: 0 }
    : stop('no_time');
  if (statedMs !== null) {
    const afterMs = Math.ceil(statedMs + SPREAD_MS * jitter);
    return statedMs > WAIT_ALONE_MS || afterMs >= leftMs ? otherwise : { kind: 'retry', on: 'same', afterMs };
  }
  if (!question.isSameUsable) return stop('no_target');
  const fullMs = Math.min(BACKOFF_MAX_MS, BACKOFF_FIRST_MS * 2 ** (attempts - 1));
  const afterMs = Math.ceil(fullMs * (0.5 + 0.5 * jitter));
  return afterMs >= leftMs ? otherwise : { kind: 'retry', on: 'same', afterMs };
}

/**
 * The last moment at which an attempt may begin, in monotonic milliseconds. `callerTimeoutSec` is how
 * long the caller says it waits (`x-stainless-timeout` of the SDKs; its own word, so it only shortens).
 */
export function retryDeadline(startedMark: number, callerTimeoutSec: number | null): number {
  const isStated = callerTimeoutSec !== null && callerTimeoutSec > 0;
  return startedMark + Math.min(RETRY_WINDOW_MS, isStated ? callerTimeoutSec * 1000 : Infinity);
}

function stop(why: StopReason): RetryPlan {
  return { kind: 'stop', why };
}
