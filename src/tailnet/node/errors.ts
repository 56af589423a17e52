/** What a node refuses or cannot do. */
import { AppError } from '../../base/errors.ts';

export type NodeErrorCode =
  /** A setting that cannot be. */
  | 'node_invalid_setting'
  /** The state file cannot be read or written: a full disk, a missing right, damage. */
  | 'node_state'
  /** `up` was not called, has not come to its end, or `close` was called. */
  | 'node_not_up'
  /** The control server waits for an administrator to approve this device. */
  | 'node_needs_approval'
  /** A peer cannot be added: its key or its addresses. */
  | 'node_peer_invalid';

export function nodeError(
  code: NodeErrorCode,
  message: string,
  more: { readonly cause?: unknown; readonly detail?: string } = {},
): AppError<NodeErrorCode> {
  return new AppError<NodeErrorCode>(code, message, more);
}
