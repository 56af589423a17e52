/** Every refusal and failure of the API: the closed list of codes, and RFC 9457 problem details. */
import { AppError, type AppErrorOptions } from '../base/errors.ts';
import { snakeCase } from './snake-case.ts';

interface ApiErrorKind {
  readonly status: number;
  /** When it happens; for the reference page. */
  readonly meaning: string;
}

/** Every code. Mirrored by docs/reference/errors.md. */
export const API_ERRORS = {
  invalid_request: {
    status: 400,
    meaning: 'a parameter or the body is not what the route asks for; `errors` lists the fields',
  },
  identity_required: { status: 401, meaning: 'no door knows who is calling; a token could be presented' },
  no_identity: { status: 403, meaning: 'no door knows who is calling' },
  role_missing: { status: 403, meaning: 'the caller is known, but has not the role or capability' },
  scope_missing: {
    status: 403,
    meaning: 'the presented token has not the scope, or what is asked is wider than the token',
  },
  presence_required: { status: 403, meaning: 'a person must show presence first, at `presence_url`' },
  presence_needs_https: { status: 403, meaning: 'presence over the network was tried without encryption' },
  presence_refused: {
    status: 403,
    meaning: 'the code, passkey or poll secret is wrong, used or late, or the caller is no person',
  },
  approval_self: {
    status: 403,
    meaning: 'the approver is the requester, or stands behind them: their token, device or login',
  },
  approval_not_yours: { status: 403, meaning: "the approval's approvers do not mean the caller" },
  claim_refused: { status: 403, meaning: 'the claim code is wrong, used or late' },
  origin_foreign: { status: 403, meaning: 'a web page of another origin tried to write' },
  operator_only: {
    status: 403,
    meaning: 'the operator has to allow it, by a setting or on the machine itself; no admin may',
  },
  not_yours: { status: 403, meaning: 'records of others were asked for without the role' },
  not_found: { status: 404, meaning: 'there is no such path or thing, or it is hidden from the caller' },
  method_wrong: { status: 405, meaning: 'the path has other methods, named in `allow`' },
  conflict: { status: 409, meaning: 'the thing is not in a state that allows this' },
  approval_conflict: {
    status: 409,
    meaning: 'the approval is decided already, or changed since the approver saw it',
  },
  config_is_file: { status: 409, meaning: 'a file (--config) owns the document' },
  already_claimed: { status: 409, meaning: 'the server has an admin' },
  last_admin: { status: 409, meaning: 'removing the last admin would leave nobody' },
  approval_gone: { status: 410, meaning: 'the approval expired or was withdrawn before it was decided' },
  precondition_failed: { status: 412, meaning: 'the document changed since it was read' },
  body_too_large: { status: 413, meaning: 'the body is over the limit of the route' },
  media_type_wrong: { status: 415, meaning: 'a write was sent with another media type than JSON' },
  document_refused: {
    status: 422,
    meaning:
      'the document has problems, listed in `problems` and `test_failures`; of a network policy, tests fail that `failures` lists',
  },
  unknown_provider: { status: 422, meaning: 'the document has no such provider' },
  precondition_required: { status: 428, meaning: '`If-Match` is missing' },
  too_many: { status: 429, meaning: 'a limit on open requests, streams, keys or tokens is reached' },
  internal: { status: 500, meaning: 'a fault in Postern' },
  unavailable: { status: 503, meaning: 'the store cannot be read or written now' },
} as const satisfies Record<string, ApiErrorKind>;

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

  get status(): (typeof API_ERRORS)[ApiErrorCode]['status'] {
    return API_ERRORS[this.code].status;
  }
}

/** Failures of other parts whose message may be shown, by their code; all others are `internal`. */
const FOREIGN: Readonly<Record<string, ApiErrorCode>> = {
  approval_unknown: 'not_found',
  approval_gone: 'approval_gone',
  approval_conflict: 'approval_conflict',
  approval_self: 'approval_self',
  approval_not_yours: 'approval_not_yours',
  approval_invalid: 'invalid_request',
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
  device_invalid: 'invalid_request',
  device_exists: 'conflict',
  device_limit: 'too_many',
  network_invalid: 'invalid_request',
  network_server_refused: 'operator_only',
  network_joined: 'conflict',
  network_off: 'conflict',
  network_state: 'unavailable',
  coordination_invalid: 'invalid_request',
  coordination_unknown: 'not_found',
  coordination_exists: 'conflict',
  coordination_limit: 'too_many',
  network_policy_invalid: 'invalid_request',
  network_policy_tests: 'document_refused',
  network_policy_overtaken: 'precondition_failed',
  jwt_denial_invalid: 'invalid_request',
  jwt_denial_limit: 'too_many',
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
    if (code !== undefined)
      return new ApiError(code, error.message, { cause: error, members: foreignMembers(error) });
    if (error.code.startsWith('store_'))
      return new ApiError('unavailable', 'the store cannot do this now', { cause: error, detail });
  }
  return new ApiError('internal', 'internal error; the operator finds it in the log by the request id', {
    cause: error,
    detail,
  });
}

/** Why a document was refused, place by place. */
function foreignMembers(error: AppError): Readonly<Record<string, unknown>> {
  if ('failures' in error) return { reason: error.code, failures: error.failures };
  if (!('problems' in error && 'testFailures' in error)) return {};
  return { reason: error.code, problems: error.problems, test_failures: snakeCase(error.testFailures) };
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
  410: 'Gone',
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
