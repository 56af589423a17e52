/** Every refusal and failure of the API: the closed list of codes, and RFC 9457 problem details. */
import { AppError, type AppErrorOptions } from '../base/errors.ts';

/** Code to HTTP status. Mirrored by docs/reference/errors.md. */
export const API_ERRORS = {
  invalid_request: 400,
  identity_required: 401,
  no_identity: 403,
  role_missing: 403,
  scope_missing: 403,
  presence_required: 403,
  presence_needs_https: 403,
  presence_refused: 403,
  claim_refused: 403,
  origin_foreign: 403,
  not_yours: 403,
  not_found: 404,
  method_wrong: 405,
  conflict: 409,
  config_is_file: 409,
  already_claimed: 409,
  last_admin: 409,
  precondition_failed: 412,
  body_too_large: 413,
  media_type_wrong: 415,
  document_refused: 422,
  unknown_provider: 422,
  precondition_required: 428,
  too_many: 429,
  internal: 500,
  unavailable: 503,
} as const;

export type ApiErrorCode = keyof typeof API_ERRORS;

export interface ApiErrorOptions extends AppErrorOptions {
  /** Further members of the problem document. */
  readonly members?: Readonly<Record<string, unknown>>;
  /** Response headers that belong to the refusal, such as `allow`. */
  readonly headers?: Readonly<Record<string, string>>;
}

/** A request that the API does not serve; its message and members are shown to the caller. */
export class ApiError extends AppError<ApiErrorCode> {
  readonly members: Readonly<Record<string, unknown>>;
  readonly headers: Readonly<Record<string, string>>;

  constructor(code: ApiErrorCode, message: string, options: ApiErrorOptions = {}) {
    super(code, message, options);
    this.name = 'ApiError';
    this.members = options.members ?? {};
    this.headers = options.headers ?? {};
  }

  get status(): number {
    return API_ERRORS[this.code];
  }
}

/** Failures of other parts whose message may be shown, by their code; all others are `internal`. */
const FOREIGN: Readonly<Record<string, ApiErrorCode>> = {
  config_is_file: 'config_is_file',
  config_conflict: 'precondition_failed',
  config_invalid: 'document_refused',
  config_tests_failed: 'document_refused',
  config_locks_out: 'document_refused',
  config_unknown_version: 'not_found',
  vault_key_unknown: 'not_found',
  vault_key_revoked: 'conflict',
  vault_key_unreadable: 'conflict',
  vault_invalid_key: 'invalid_request',
  vault_invalid_origin: 'invalid_request',
  vault_too_many_keys: 'too_many',
  token_request_invalid: 'invalid_request',
  token_limit: 'too_many',
  store_conflict: 'conflict',
  store_bad_cursor: 'invalid_request',
  store_query_too_large: 'invalid_request',
};

/** What was thrown, as an `ApiError`; the text of an unknown failure is kept for the log. */
export function toApiError(error: unknown): ApiError {
  if (error instanceof ApiError) return error;
  const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
  if (error instanceof AppError) {
    const code = FOREIGN[error.code];
    if (code !== undefined) return new ApiError(code, error.message, { cause: error, members: foreignMembers(error) });
    if (error.code.startsWith('store_')) return new ApiError('unavailable', 'the store cannot do this now', { cause: error, detail });
  }
  return new ApiError('internal', 'internal error; the operator finds it in the log by the request id', { cause: error, detail });
}

/** Why a document was refused, place by place. */
function foreignMembers(error: AppError): Readonly<Record<string, unknown>> {
  if (!('problems' in error && 'testFailures' in error)) return {};
  return { reason: error.code, problems: error.problems, test_failures: error.testFailures };
}

/** An RFC 9457 document; `type` is `about:blank`, for `code` says more. */
export interface Problem {
  readonly type: 'about:blank';
  readonly title: string;
  readonly status: number;
  readonly detail: string;
  readonly code: ApiErrorCode;
  readonly request_id: string;
  readonly [member: string]: unknown;
}

const TITLES: Readonly<Record<number, string>> = {
  400: 'Bad Request',
  401: 'Unauthorized',
  403: 'Forbidden',
  404: 'Not Found',
  405: 'Method Not Allowed',
  409: 'Conflict',
  412: 'Precondition Failed',
  413: 'Content Too Large',
  415: 'Unsupported Media Type',
  422: 'Unprocessable Content',
  428: 'Precondition Required',
  429: 'Too Many Requests',
  500: 'Internal Server Error',
  503: 'Service Unavailable',
};

export function problemOf(error: ApiError, requestId: string): Problem {
  return {
    ...error.members,
    type: 'about:blank',
    title: TITLES[error.status] ?? 'Error',
    status: error.status,
    detail: error.message,
    code: error.code,
    request_id: requestId,
  };
}
