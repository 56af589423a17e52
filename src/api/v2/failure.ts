/** Refusals of the API v2 in the words of its clients: a status and `{"message"}`. */
import { AppError } from '../../base/errors.ts';

export class V2Failure extends Error {
  override readonly name = 'V2Failure';
  readonly status: number;
  /** `data` of the answer: what tests of a policy found. */
  readonly data: readonly object[] | null;

  constructor(status: number, message: string, data: readonly object[] | null = null) {
    super(message);
    this.status = status;
    this.data = data;
  }
}

/** One answer for what is not there and for what is another tailnet's. */
export function notFound(): V2Failure {
  return new V2Failure(404, 'not found');
}

export function badRequest(message: string): V2Failure {
  return new V2Failure(400, message);
}

const STATUS: Readonly<Record<string, number>> = {
  coordination_invalid: 400,
  coordination_unknown: 404,
  coordination_exists: 409,
  coordination_limit: 429,
  network_policy_invalid: 400,
  network_policy_tests: 400,
};

/** Null for a fault of ours, which is told nobody. */
export function toFailure(error: unknown): V2Failure | null {
  if (error instanceof V2Failure) return error;
  if (!(error instanceof AppError)) return null;
  const status = STATUS[error.code];
  return status === undefined ? null : new V2Failure(status, error.message);
}
