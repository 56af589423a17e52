/** What a node refuses or cannot do. */
import { AppError } from '../../base/errors.ts';

export type NodeErrorCode =
  /** A setting that cannot be. */
  | 'node_invalid_setting'
  /** The state file cannot be read or written: a full disk, a missing right, damage. */
  | 'node_state'
  /** `up` was not called, or `close` was. */
  | 'node_not_up'
  /** A peer cannot be added: its key or its addresses. */
  | 'node_peer_invalid';

export function nodeError(
  code: NodeErrorCode,
  message: string,
  more: { readonly cause?: unknown; readonly detail?: string } = {},
): AppError<NodeErrorCode> {
  return new AppError<NodeErrorCode>(code, message, more);
}
