/**
 * Refusals in each provider's own error shape, as whole answers and inside streams, so that every
 * official SDK raises its typed error. Sources: the API references of the providers, and what
 * `openai`, `@anthropic-ai/sdk`, `@google/genai` and `@aws-sdk/client-bedrock-runtime` read.
 */
import { encodeEventStreamMessage } from '../wire/aws-event-stream.ts';
import { encodeSseEvent } from '../wire/sse.ts';
import type { Dialect, Format } from './surface.ts';

/** Why a request is not served, in words that are safe to show to the caller. */
export interface Refusal {
  /** HTTP status, 400 to 599. Inside streams it only chooses the error's type. */
  readonly status: number;
  /** Reason code of the closed list in docs/reference/errors.md. */
  readonly code: string;
  readonly message: string;
  readonly requestId: string;
  /** Whole seconds until it makes sense to try again. */
  readonly retryAfterSec?: number;
  /** Who or what can fix it: a sentence, with a link where there is one. */
  readonly help?: string;
}

export interface RenderedRefusal {
  readonly contentType: string;
  readonly body: Buffer;
  /** Besides content type and length: reason, request id under the dialect's name too, `retry-after`. */
  readonly headers: [string, string][];
}

/** The answer to a refused request in the caller's dialect. */
export function renderRefusal(dialect: Dialect, refusal: Refusal): RenderedRefusal {
  const headers: [string, string][] = [
    ['x-postern-request-id', refusal.requestId],
    ['x-postern-reason', refusal.code],
    [REQUEST_ID_HEADERS[dialect], refusal.requestId],
  ];
  if (refusal.retryAfterSec !== undefined)
    headers.push(['retry-after', String(Math.max(0, Math.ceil(refusal.retryAfterSec)))]);
  if (dialect === 'bedrock') headers.push(['x-amzn-errortype', bedrockException(refusal.status).error]);
  return {
    contentType: 'application/json',
    body: Buffer.from(JSON.stringify(errorBody(dialect, refusal)), 'utf8'),
    headers,
  };
}

/** Where each SDK looks for the request id. */
const REQUEST_ID_HEADERS: Readonly<Record<Dialect, string>> = {
  openai: 'x-request-id',
  anthropic: 'request-id',
  google: 'x-request-id',
  bedrock: 'x-amzn-requestid',
};

function errorBody(dialect: Dialect, refusal: Refusal): object {
  switch (dialect) {
    case 'openai':
      return { error: openaiError(refusal) };
    case 'anthropic':
      return anthropicError(refusal);
    case 'google':
      return { error: googleError(refusal) };
    case 'bedrock':
      return { message: fullMessage(refusal) };
    default:
      return dialect satisfies never;
  }
}

/**
 * The bytes that end a stream with an error. The result begins with a line end and a blank line,
 * which closes an event that was cut and means nothing between events. A stream of frames must be
 * between two frames. Nothing may follow.
 */
export function renderStreamError(format: Format, refusal: Refusal): Buffer {
  if (format === 'bedrock_converse' || format === 'bedrock_model_invoke') return exceptionFrame(refusal);
  return Buffer.concat([Buffer.from('\n\n'), ...streamErrorEvents(format, refusal)]);
}

const ANTHROPIC_STREAMS: ReadonlySet<Format> = new Set<Format>(['anthropic_messages', 'google_raw_predict']);
const RESPONSES_STREAMS: ReadonlySet<Format> = new Set<Format>(['openai_responses', 'openai_objects']);
const GEMINI_STREAMS: ReadonlySet<Format> = new Set<Format>([
  'gemini_generate_content',
  'google_generate_content',
]);

function streamErrorEvents(format: Format, refusal: Refusal): readonly Buffer[] {
  if (ANTHROPIC_STREAMS.has(format)) {
    return [encodeSseEvent({ name: 'error', data: JSON.stringify(anthropicError(refusal)) })];
  }
  if (RESPONSES_STREAMS.has(format)) return responsesErrorEvents(refusal);
  const error = GEMINI_STREAMS.has(format) ? googleError(refusal) : openaiError(refusal);
  return [encodeSseEvent({ data: JSON.stringify({ error }) })];
}

/** Both ends that Responses has: SDKs raise on `error`, Codex reads `response.failed`. */
function responsesErrorEvents(refusal: Refusal): readonly Buffer[] {
  const error = openaiError(refusal);
  const response = {
    id: `resp_${refusal.requestId}`,
    object: 'response',
    status: 'failed',
    error: { code: error.code, message: error.message },
    output: [],
  };
  const first = {
    type: 'error',
    sequence_number: 0,
    code: error.code,
    message: error.message,
    param: null,
    error,
  };
  const second = { type: 'response.failed', sequence_number: 1, response };
  return [first, second].map((event) => encodeSseEvent({ name: event.type, data: JSON.stringify(event) }));
}

function exceptionFrame(refusal: Refusal): Buffer {
  const text = (value: string) => ({ type: 'string', value }) as const;
  return encodeEventStreamMessage({
    headers: new Map([
      [':exception-type', text(bedrockException(refusal.status).inStream)],
      [':content-type', text('application/json')],
      [':message-type', text('exception')],
    ]),
    payload: Buffer.from(JSON.stringify({ message: fullMessage(refusal) }), 'utf8'),
  });
}

/** The message with what helps; the request id too, which agents print and people paste. */
function fullMessage({ message, help, requestId }: Refusal): string {
  return `${message}${help === undefined ? '' : `. ${help}`} (request ${requestId})`;
}

interface OpenaiError {
  readonly message: string;
  readonly type: string;
  readonly param: null;
  readonly code: string;
}

function openaiError(refusal: Refusal): OpenaiError {
  return { message: fullMessage(refusal), type: openaiType(refusal.status), param: null, code: refusal.code };
}

function openaiType(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 404) return 'not_found_error';
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}

/** Anthropic has no codes; ours stands beside the type, where SDKs keep unknown members. */
function anthropicError(refusal: Refusal): object {
  return {
    type: 'error',
    error: { type: anthropicType(refusal.status), message: fullMessage(refusal), code: refusal.code },
    request_id: refusal.requestId,
  };
}

const ANTHROPIC_TYPES: ReadonlyMap<number, string> = new Map([
  [401, 'authentication_error'],
  [402, 'billing_error'],
  [403, 'permission_error'],
  [404, 'not_found_error'],
  [413, 'request_too_large'],
  [429, 'rate_limit_error'],
  [504, 'timeout_error'],
  [529, 'overloaded_error'],
]);

function anthropicType(status: number): string {
  return ANTHROPIC_TYPES.get(status) ?? (status >= 500 ? 'api_error' : 'invalid_request_error');
}

/** google.rpc.Code by HTTP status (googleapis `code.proto`). */
const GOOGLE_STATUSES: ReadonlyMap<number, string> = new Map([
  [401, 'UNAUTHENTICATED'],
  [403, 'PERMISSION_DENIED'],
  [404, 'NOT_FOUND'],
  [409, 'ABORTED'],
  [429, 'RESOURCE_EXHAUSTED'],
  [501, 'UNIMPLEMENTED'],
  [503, 'UNAVAILABLE'],
  [504, 'DEADLINE_EXCEEDED'],
]);

function googleError(refusal: Refusal): object {
  const details: object[] = [
    {
      '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
      reason: refusal.code,
      domain: 'postern.dev',
      metadata: { request_id: refusal.requestId },
    },
  ];
  if (refusal.retryAfterSec !== undefined) {
    const retryDelay = `${Math.max(0, Math.ceil(refusal.retryAfterSec))}s`;
    details.push({ '@type': 'type.googleapis.com/google.rpc.RetryInfo', retryDelay });
  }
  const status =
    GOOGLE_STATUSES.get(refusal.status) ?? (refusal.status >= 500 ? 'INTERNAL' : 'INVALID_ARGUMENT');
  return { code: refusal.status, message: fullMessage(refusal), status, details };
}

interface BedrockException {
  /** Name in `x-amzn-errortype`. */
  readonly error: string;
  /** Member of the stream's union: only some exceptions exist there. */
  readonly inStream: string;
}

function bedrockException(status: number): BedrockException {
  if (status === 401 || status === 403)
    return { error: 'AccessDeniedException', inStream: 'validationException' };
  if (status === 404) return { error: 'ResourceNotFoundException', inStream: 'validationException' };
  if (status === 408 || status === 504)
    return { error: 'ModelTimeoutException', inStream: 'modelStreamErrorException' };
  if (status === 429) return { error: 'ThrottlingException', inStream: 'throttlingException' };
  if (status === 503)
    return { error: 'ServiceUnavailableException', inStream: 'serviceUnavailableException' };
  if (status >= 500) return { error: 'InternalServerException', inStream: 'internalServerException' };
  return { error: 'ValidationException', inStream: 'validationException' };
}
