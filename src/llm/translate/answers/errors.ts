/**
 * A provider's errors in the caller's format: the provider's message under the type that the
 * caller's SDK raises. Agents go by what they know of an overfull prompt, so that is said in each
 * provider's own way.
 */
import { get, type JsonRecord } from '../../formats/findings.ts';
import type { TranslatedFormat } from '../contract.ts';
import type { AnswerError } from './answer.ts';

const MESSAGE_MAX_CHARS = 4_000;
const CODE_MAX_CHARS = 128;
const CONTEXT_CODE = 'context_length_exceeded';
/** What providers say of a prompt that does not fit. */
const CONTEXT_MESSAGE =
  /prompt is too long|maximum context length|context window|context length|exceeds the maximum number of tokens|input token count/i;

/** Statuses of error types inside streams, which have none of their own. */
const TYPE_STATUSES: ReadonlyMap<unknown, number> = new Map<unknown, number>([
  ['invalid_request_error', 400],
  ['authentication_error', 401],
  ['billing_error', 402],
  ['permission_error', 403],
  ['not_found_error', 404],
  ['request_too_large', 413],
  ['rate_limit_error', 429],
  ['rate_limit_exceeded', 429],
  ['insufficient_quota', 429],
  ['context_length_exceeded', 400],
  ['api_error', 500],
  ['server_error', 500],
  ['timeout_error', 504],
  ['overloaded_error', 529],
  ['INVALID_ARGUMENT', 400],
  ['FAILED_PRECONDITION', 400],
  ['UNAUTHENTICATED', 401],
  ['PERMISSION_DENIED', 403],
  ['NOT_FOUND', 404],
  ['RESOURCE_EXHAUSTED', 429],
  ['INTERNAL', 500],
  ['UNAVAILABLE', 503],
  ['DEADLINE_EXCEEDED', 504],
]);

/**
 * Reads an error of any provider's shape: `{ error: { message, type, code, status } }`, `{ message }`
 * or a bare string. `status` is that of the answer; inside a stream the type decides.
 */
export function readAnswerError(status: number, body: unknown): AnswerError {
  const error = get(body, 'error') ?? get(get(body, 'response'), 'error') ?? body;
  const found = typeof error === 'string' ? error : get(error, 'message');
  const message = typeof found === 'string' && found !== '' ? found : `the provider answered ${status}`;
  const code = get(error, 'code');
  const named =
    TYPE_STATUSES.get(get(error, 'type')) ??
    TYPE_STATUSES.get(get(error, 'status')) ??
    TYPE_STATUSES.get(code);
  const real = status === 500 ? (named ?? numericStatus(code) ?? status) : status;
  const isContext =
    real < 500 && (code === CONTEXT_CODE || CONTEXT_MESSAGE.test(message.slice(0, MESSAGE_MAX_CHARS)));
  const shortCode = typeof code === 'string' && code.length <= CODE_MAX_CHARS ? code : null;
  return {
    status: real,
    message: message.slice(0, MESSAGE_MAX_CHARS),
    code: isContext ? CONTEXT_CODE : shortCode,
  };
}

function numericStatus(code: unknown): number | undefined {
  return typeof code === 'number' && code >= 400 && code < 600 ? code : undefined;
}

/** The body of an error answer. */
export function writeAnswerError(format: TranslatedFormat, error: AnswerError): JsonRecord {
  switch (format) {
    case 'anthropic_messages':
      return anthropicErrorBody(error);
    case 'openai_chat':
    case 'openai_responses':
      return { error: openaiError(error) };
    case 'gemini_generate_content':
      return { error: geminiError(error) };
    default:
      return format satisfies never;
  }
}

const ANTHROPIC_TYPES: ReadonlyMap<number, string> = new Map([
  [401, 'authentication_error'],
  [402, 'billing_error'],
  [403, 'permission_error'],
  [404, 'not_found_error'],
  [413, 'request_too_large'],
  [429, 'rate_limit_error'],
  [503, 'overloaded_error'],
  [504, 'timeout_error'],
  [529, 'overloaded_error'],
]);

/** Anthropic's error, as an answer and as the event `error`. */
export function anthropicErrorBody({ status, message, code }: AnswerError): JsonRecord {
  const type = ANTHROPIC_TYPES.get(status) ?? (status >= 500 ? 'api_error' : 'invalid_request_error');
  const said =
    code === CONTEXT_CODE && !/prompt is too long/i.test(message)
      ? `prompt is too long: ${message}`
      : message;
  return { type: 'error', error: { type, message: said } };
}

/** OpenAI's error object. */
export function openaiError({ status, message, code }: AnswerError): JsonRecord {
  return { message, type: openaiType(status), param: null, code };
}

function openaiType(status: number): string {
  if (status === 401) return 'authentication_error';
  if (status === 403) return 'permission_error';
  if (status === 404) return 'not_found_error';
  if (status === 429) return 'rate_limit_error';
  return status >= 500 ? 'server_error' : 'invalid_request_error';
}

const GOOGLE_STATUSES: ReadonlyMap<number, string> = new Map([
  [401, 'UNAUTHENTICATED'],
  [403, 'PERMISSION_DENIED'],
  [404, 'NOT_FOUND'],
  [429, 'RESOURCE_EXHAUSTED'],
  [503, 'UNAVAILABLE'],
  [504, 'DEADLINE_EXCEEDED'],
  [529, 'UNAVAILABLE'],
]);

/** Google's error object (`google.rpc.Status`). */
export function geminiError({ status, message }: AnswerError): JsonRecord {
  const name = GOOGLE_STATUSES.get(status) ?? (status >= 500 ? 'INTERNAL' : 'INVALID_ARGUMENT');
  return { code: status, message, status: name };
}
