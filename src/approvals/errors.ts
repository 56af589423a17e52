import { AppError } from '../base/errors.ts';

/** Closed set of failure codes of approvals. */
export type ApprovalErrorCode =
  /** There is no such approval, or none that the approver may know of. */
  | 'approval_unknown'
  /** It expired or was withdrawn before this. */
  | 'approval_gone'
  /** It is decided already, or changed since the approver saw it. */
  | 'approval_conflict'
  /** The approver is the requester, or stands behind them. */
  | 'approval_self'
  /** The entry's approvers do not mean this caller. */
  | 'approval_not_yours'
  /** A scope, duration or edit that the entry does not allow. */
  | 'approval_invalid';

export function approvalError(code: ApprovalErrorCode, message: string): AppError<ApprovalErrorCode> {
  return new AppError(code, message);
}
