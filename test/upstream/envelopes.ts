/** Error bodies as each provider writes them. */
import type { UpstreamDialect } from './received.ts';

/** An error that the fake answers with, in the dialect of the path. */
export class FakeError extends Error {
  readonly status: number;
  readonly code: string | null;

  constructor(status: number, message: string, code: string | null = null) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const OPENAI_TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'invalid_request_error',
  403: 'insufficient_permissions',
  404: 'invalid_request_error',
  429: 'rate_limit_exceeded',
};

const ANTHROPIC_TYPES: Readonly<Record<number, string>> = {
  400: 'invalid_request_error',
  401: 'authentication_error',
  403: 'permission_error',
  404: 'not_found_error',
  413: 'request_too_large',
  429: 'rate_limit_error',
  529: 'overloaded_error',
};

const GOOGLE_STATUSES: Readonly<Record<number, string>> = {
  400: 'INVALID_ARGUMENT',
  401: 'UNAUTHENTICATED',
  403: 'PERMISSION_DENIED',
  404: 'NOT_FOUND',
  429: 'RESOURCE_EXHAUSTED',
  503: 'UNAVAILABLE',
};

const ENVELOPES: Readonly<Record<UpstreamDialect, (error: FakeError) => object>> = {
  openai: ({ status, message, code }) => ({
    error: { message, type: OPENAI_TYPES[status] ?? 'server_error', param: null, code },
  }),
  anthropic: ({ status, message }) => ({
    type: 'error',
    error: { type: ANTHROPIC_TYPES[status] ?? 'api_error', message },
    request_id: 'req_fake',
  }),
  google: ({ status, message }) => ({
    error: { code: status, message, status: GOOGLE_STATUSES[status] ?? 'INTERNAL' },
  }),
};

/** The JSON of an error answer. */
export function errorEnvelope(dialect: UpstreamDialect, error: FakeError): object {
  return ENVELOPES[dialect](error);
}
