/** Refusals of the coordination server's own operations; the API maps them. Devices get HTTP errors and texts. */
import { AppError } from '../../base/errors.ts';

export type CoordinationErrorCode =
  /** Malformed, or against a rule. */
  | 'coordination_invalid'
  /** No such thing in this tailnet. */
  | 'coordination_unknown'
  /** The name is taken. */
  | 'coordination_exists'
  /** The most there may be. */
  | 'coordination_limit';

export function coordinationError(
  code: CoordinationErrorCode,
  message: string,
  cause?: unknown,
): AppError<CoordinationErrorCode> {
  return new AppError(code, message, cause === undefined ? {} : { cause });
}
