/** Why a call of a hook counts as failed: the closed set of this folder. */
import { AppError } from '../../base/errors.ts';
import type { UpstreamErrorCode } from '../../net/index.ts';

export type HookFault =
  /** No connection, or it ended before the answer did. */
  | 'hook_unreachable'
  | 'hook_timeout'
  /** The answer is larger than the hook may send. */
  | 'hook_answer_too_large'
  /** Not 2xx; a redirect is none either. */
  | 'hook_status'
  /** Told afterwards, it answered with a status that no further attempt mends. */
  | 'hook_refused'
  /** Not one JSON object that the event's protocol knows. */
  | 'hook_answer_malformed'
  /** The hook asked for bytes that are no JSON (a form), or for more than may be sent. */
  | 'hook_request_unsendable'
  /** Its key, or the secret that signs, is not there. */
  | 'hook_key_missing'
  /** As many calls as allowed are under way, and as many as allowed wait. */
  | 'hook_busy'
  /** It failed before, again and again: not asked for now. */
  | 'hook_circuit_open'
  /** The caller left; nobody waits for an answer. */
  | 'hook_aborted'
  /** The process stops. */
  | 'hook_stopping'
  /** The bounded queue of deliveries has no room. */
  | 'hook_queue_full';

/** `message` names the rule, never a byte of a body. */
export function hookError(code: HookFault, message: string, cause?: unknown): AppError<HookFault> {
  return new AppError(code, message, { cause });
}

const FAULT_OF: Readonly<Partial<Record<UpstreamErrorCode, HookFault>>> = {
  dial_timeout: 'hook_timeout',
  upstream_first_byte_timeout: 'hook_timeout',
  upstream_idle_timeout: 'hook_timeout',
  upstream_too_large: 'hook_answer_too_large',
  upstream_protocol: 'hook_answer_malformed',
  upstream_busy: 'hook_busy',
  upstream_aborted: 'hook_aborted',
};

/** What `fetchSmall` throws, as a fault; anything unknown is `hook_unreachable`. */
export function toHookError(error: unknown): AppError<HookFault> {
  if (!(error instanceof AppError)) return hookError('hook_unreachable', 'the call failed', error);
  const known = Object.entries(FAULT_OF).find(([code]) => code === error.code)?.[1];
  return hookError(known ?? 'hook_unreachable', error.message, error);
}
