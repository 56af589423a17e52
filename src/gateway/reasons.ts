/**
 * Why Postern refuses or fails: the closed list of codes that callers see in `x-postern-reason`,
 * mirrored by docs/reference/errors.md.
 */
import { AppError, type AppErrorOptions } from '../base/errors.ts';

interface Reason {
  readonly status: number;
  /** When it happens; for the reference page. */
  readonly meaning: string;
  /** Who can fix it and how; shown to the caller. */
  readonly help: string;
}

export const REASONS = {
  no_identity: {
    status: 403,
    meaning: 'no door could tell who is calling',
    help: 'call from a known device, or present a Postern token',
  },
  token_invalid: {
    status: 401,
    meaning: 'a Postern token or a JWT of a configured issuer was presented and is not valid',
    help: 'mint a new token with `postern tokens create`',
  },
  host_unknown: {
    status: 421,
    meaning: 'the Host header names an address that is not one of this server',
    help: 'use the address that `postern serve` printed, or add the name to `hosts` in the settings',
  },
  origin_foreign: {
    status: 403,
    meaning: 'a web page of another origin made the request',
    help: 'call from a program, not from a web page of another site',
  },
  request_invalid: {
    status: 400,
    meaning: 'the request line or headers are not what HTTP asks for',
    help: 'mend the client',
  },
  media_type_wrong: {
    status: 415,
    meaning: 'a write to the API came without a JSON media type',
    help: 'send `content-type: application/json`',
  },
  role_missing: {
    status: 403,
    meaning: 'the caller is known but no grant gives it a role',
    help: 'ask an admin for a grant',
  },
  scope_missing: {
    status: 403,
    meaning: 'the presented token has no scope for this',
    help: 'mint a token with the scope `use`',
  },
  path_unknown: {
    status: 404,
    meaning: 'no surface has this path',
    help: 'see the surfaces in the documentation',
  },
  path_doubled: {
    status: 404,
    meaning: 'the path has /v1 twice',
    help: 'give this client the base URL without /v1',
  },
  method_wrong: {
    status: 405,
    meaning: 'the path exists with another method',
    help: 'use the method that the API names',
  },
  websocket_unsupported: {
    status: 426,
    meaning: 'a WebSocket upgrade was asked for',
    help: 'use plain HTTP; clients fall back by themselves',
  },
  body_too_large: {
    status: 413,
    meaning: 'the body is over the limit',
    help: 'send less, or ask the operator for a higher `limits.bodyMaxBytes`',
  },
  body_invalid: {
    status: 400,
    meaning: 'the body is not what the format asks for',
    help: 'mend the request',
  },
  body_incomplete: {
    status: 400,
    meaning: 'the body ended early or came too slowly',
    help: 'send the whole body',
  },
  caller_left: {
    status: 400,
    meaning: 'the caller closed the connection before anything was sent to the provider',
    help: 'wait for the answer',
  },
  reader_too_slow: {
    status: 400,
    meaning: 'the caller read nothing of its answer for `timeouts.idleMs`',
    help: 'read the answer, or close the connection',
  },
  encoding_unsupported: {
    status: 415,
    meaning: 'the body is compressed in a way that is not known here',
    help: 'send the body plain, or with one of gzip, deflate, br and zstd',
  },
  budget_exhausted: {
    status: 429,
    meaning: 'a budget or limit that holds for the caller has not enough left',
    help: 'wait for `Retry-After`, or ask for more: `postern approvals ask budget`',
  },
  budget_too_small: {
    status: 429,
    meaning: 'the request could cost more than a budget can ever hold',
    help: 'ask for less (a lower output limit, a shorter conversation), or ask an admin for a larger budget',
  },
  budget_not_enforceable: {
    status: 403,
    meaning: 'what the request would cost cannot be known or limited beforehand, and its budget demands that',
    help: 'use a priced model and inline input, or ask an admin for an `unknown_input` or `reserve` that fits',
  },
  budget_unavailable: {
    status: 503,
    meaning: 'the store could not say in time what is left of a budget',
    help: 'try again; the operator finds the cause in the log',
  },
  surface_not_governed: {
    status: 403,
    meaning: 'a rule holds for the caller that cannot be enforced on this surface',
    help: 'use a format whose answers can be checked, such as Messages, Chat Completions, Responses or Gemini',
  },
  answer_not_governable: {
    status: 502,
    meaning: 'the provider answered in a way that cannot be checked by the rules that hold for the caller',
    help: 'try again; if it stays, tell the operator the request id',
  },
  translation_unsupported: {
    status: 400,
    meaning: 'the provider of the model speaks another format, and the request cannot be said in it',
    help: 'leave out what the message names, or use a model whose provider speaks your format',
  },
  answer_not_translatable: {
    status: 502,
    meaning: 'the provider of the model speaks another format, and its answer cannot be put into yours',
    help: 'try again; if it stays, tell the operator the request id',
  },
  tool_not_allowed: {
    status: 403,
    meaning: 'the request declares a tool that the provider would run, and policy refuses it',
    help: 'leave the tool out of the request, or ask an admin',
  },
  approval_pending: {
    status: 403,
    meaning: 'the request waits for the approval of a person',
    help: 'follow the link, and send the same request again once it is approved',
  },
  approval_denied: {
    status: 403,
    meaning: 'a person was asked, and said no or did not answer in time',
    help: 'ask the approvers, or do without',
  },
  content_blocked: {
    status: 403,
    meaning: 'a guardrail or a hook blocked the request or its answer',
    help: 'remove what the message names',
  },
  hook_failed: {
    status: 503,
    meaning: 'a hook that must agree did not answer',
    help: 'try again; the operator finds the cause in the log',
  },
  model_missing: {
    status: 400,
    meaning: 'the request names no model',
    help: 'set `model`; `GET /v1/models` lists yours',
  },
  model_not_available: {
    status: 404,
    meaning: 'the model is unknown, or not granted to this caller',
    help: '`GET /v1/models` lists what you may use; ask an admin for access to more',
  },
  format_not_available: {
    status: 404,
    meaning: 'the model is granted, but its provider does not speak this wire format',
    help: 'use one of the formats that `GET /v1/models` names for it',
  },
  object_not_found: {
    status: 404,
    meaning: 'the provider object (response, file, batch …) is unknown or belongs to another caller',
    help: 'use an id that you created through Postern',
  },
  stored_input_refused: {
    status: 403,
    meaning:
      'the body names storage (`gs://`, `s3://`, a data store) to be read with other rights than the caller’s',
    help: 'send the content itself, or ask an admin to list the address in `allow_stored_inputs`',
  },
  key_missing: {
    status: 503,
    meaning: 'the provider has no usable key for its address',
    help: 'an admin adds one with `postern keys add`',
  },
  key_revoked: {
    status: 503,
    meaning: 'the provider key was revoked while the request ran',
    help: 'try again',
  },
  credential_failed: {
    status: 503,
    meaning: 'the credential of the provider could not be turned into an access token',
    help: 'an admin checks the credential with `postern keys list`',
  },
  place_refused: {
    status: 403,
    meaning: 'the request names a cloud project or region that this provider is not for',
    help: 'leave the project and region to Postern',
  },
  place_unknown: {
    status: 503,
    meaning: 'the cloud project or region of the provider cannot be told',
    help: 'an admin names them in the base URL of the provider',
  },
  upstream_refused_address: {
    status: 502,
    meaning: 'the address of the provider is private, local or otherwise not allowed',
    help: 'the operator lists it with --allow-upstream',
  },
  upstream_unreachable: {
    status: 502,
    meaning: 'the provider could not be reached',
    help: 'try again later',
  },
  upstream_timeout: { status: 504, meaning: 'the provider did not answer in time', help: 'try again later' },
  upstream_truncated: {
    status: 502,
    meaning: 'the answer of the provider ended before its end',
    help: 'try again',
  },
  access_revoked: {
    status: 403,
    meaning: 'the right to this stream was withdrawn while it ran',
    help: 'ask an admin',
  },
  overloaded: { status: 503, meaning: 'Postern is at a limit of its own', help: 'try again in a moment' },
  shutting_down: { status: 503, meaning: 'Postern is stopping', help: 'try again in a moment' },
  internal: { status: 500, meaning: 'a fault in Postern', help: 'report the request id to the operator' },
} as const satisfies Record<string, Reason>;

export type ReasonCode = keyof typeof REASONS;

export interface RefusedOptions extends AppErrorOptions {
  /** Whole seconds until it makes sense to try again. */
  readonly retryAfterSec?: number;
  /** The policy rule that decided; for the record, never for the caller. */
  readonly rule?: string;
  /** What an admin is told instead: it names addresses, which are the operator's (DESIGN section 12). */
  readonly forAdmin?: string;
  /** Where the case decides: 401 instead of 403 if a token could be presented. Default: the code's own. */
  readonly status?: number;
}

/** A request that Postern does not serve, or could not; carries what the caller may know. */
export class Refused extends AppError<ReasonCode> {
  readonly rule: string | null;
  readonly status: number;
  readonly retryAfterSec: number | null;
  readonly #forAdmin: string | null;

  constructor(code: ReasonCode, message: string, options: RefusedOptions = {}) {
    super(code, message, options);
    this.name = 'Refused';
    this.rule = options.rule ?? null;
    this.status = options.status ?? REASONS[code].status;
    this.retryAfterSec = options.retryAfterSec ?? null;
    this.#forAdmin = options.forAdmin ?? null;
  }

  /** The message for somebody with these roles; null is a stranger. */
  messageFor(roles: ReadonlySet<string> | null): string {
    return roles?.has('admin') === true ? (this.#forAdmin ?? this.message) : this.message;
  }

  get help(): string {
    return REASONS[this.code].help;
  }
}

/** What was thrown, as a refusal: anything unmapped is `internal`, with its text for the log only. */
export function toRefused(error: unknown): Refused {
  if (error instanceof Refused) return error;
  return new Refused('internal', 'internal error', {
    cause: error,
    detail: error instanceof Error ? (error.stack ?? error.message) : String(error),
  });
}
