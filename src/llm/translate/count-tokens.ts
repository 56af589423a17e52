/**
 * Counting tokens for a caller whose target has another format: by the target's own counter where it
 * has one, else by an estimate. Claude Code and the Gemini CLI plan their context by these numbers.
 */
import { asCount, asRecord, get, type JsonRecord } from '../formats/findings.ts';
import type { BodyFacts } from '../request-body.ts';
import type { Format, SurfaceMatch } from '../surface.ts';
import { parseObject } from './answers/answer.ts';
import { readAnswerError } from './answers/errors.ts';
import { errorAnswer } from './answers/translation.ts';
import {
  isTranslationProblem,
  type CountTranslation,
  type TargetFormat,
  type TranslatedAnswer,
  type TranslatedCount,
  type TranslatedFormat,
  type TranslationProblem,
  type TranslationTarget,
} from './contract.ts';
import { translator } from './translator.ts';

/** Counters whose callers may be sent elsewhere, and the format that they count. */
const COUNTED: Readonly<Partial<Record<Format, TranslatedFormat>>> = {
  anthropic_count_tokens: 'anthropic_messages',
  gemini_count_tokens: 'gemini_generate_content',
};

/**
 * Translates a request to count tokens. Null where `match` is none, or where the target counts in the
 * caller's format already. With `hasCounter` false (servers that only speak the format) always an estimate.
 */
export function translateCount(
  match: SurfaceMatch,
  facts: BodyFacts,
  to: TargetFormat,
  target: TranslationTarget,
  hasCounter: boolean,
): CountTranslation | TranslationProblem | null {
  const from = COUNTED[match.format];
  const made = from === undefined ? null : translator(from, to);
  if (from === undefined || made === null) return null;
  const request = made.request(from === 'gemini_generate_content' ? counted(facts) : facts, target);
  if (isTranslationProblem(request)) return request;
  const counter = hasCounter ? counterOf(to, request.body, target) : null;
  if (counter === null) {
    const answer = writeCount(from, request.estimatedInputTokens);
    return { kind: 'estimate', answer };
  }
  return {
    kind: 'request',
    request: {
      ...counter,
      headers: request.headers,
      losses: request.losses,
      answer: (status, body) => readCount(from, to, status, body),
    },
  };
}

/** Gemini's counter takes the contents themselves, or a whole request. */
function counted(facts: BodyFacts): BodyFacts {
  const whole = asRecord(facts.member('generateContentRequest'));
  if (whole === null) return facts;
  return {
    kind: facts.kind,
    model: facts.model,
    stream: facts.stream,
    includeUsage: facts.includeUsage,
    members: facts.members,
    modelSpan: facts.modelSpan,
    hasTools: facts.hasTools,
    previousResponseId: facts.previousResponseId,
    watchedKeys: facts.watchedKeys,
    span: (key) => facts.span(key),
    member: (key) => facts.member(key),
    value: () => whole,
  };
}

/** Members that counters refuse: they are about the answer. */
const ANSWER_MEMBERS: ReadonlySet<string> = new Set([
  'max_tokens',
  'stream',
  'temperature',
  'top_p',
  'top_k',
  'stop_sequences',
  'metadata',
  'store',
  'include',
  'max_output_tokens',
  'prompt_cache_key',
  'safety_identifier',
]);

function counterOf(
  to: TargetFormat,
  body: Buffer,
  target: TranslationTarget,
): Pick<TranslatedCount, 'path' | 'match' | 'body'> | null {
  const request = parseObject(body.toString('utf8')) ?? {};
  const prompt = Object.fromEntries(Object.entries(request).filter(([key]) => !ANSWER_MEMBERS.has(key)));
  const encode = (value: JsonRecord): Buffer => Buffer.from(JSON.stringify(value), 'utf8');
  const inBody = { model: null, modelInBody: true, stream: false, action: '', objectId: null } as const;
  switch (to) {
    case 'anthropic_messages':
      return {
        path: '/v1/messages/count_tokens',
        match: { ...inBody, format: 'anthropic_count_tokens', dialect: 'anthropic' },
        body: encode(prompt),
      };
    case 'openai_responses':
      return {
        path: '/v1/responses/input_tokens',
        match: { ...inBody, format: 'openai_responses', dialect: 'openai', action: 'input_tokens' },
        body: encode(prompt),
      };
    case 'gemini_generate_content': {
      const { model } = target;
      return {
        path: `/v1beta/models/${encodeURIComponent(model)}:countTokens`,
        match: {
          ...inBody,
          format: 'gemini_count_tokens',
          dialect: 'google',
          model,
          modelInBody: false,
          action: 'countTokens',
        },
        body: encode({ generateContentRequest: { model: `models/${model}`, ...prompt } }),
      };
    }
    case 'google_raw_predict':
      return {
        path: '/v1/publishers/anthropic/models/count-tokens:rawPredict',
        match: { ...inBody, format: 'google_raw_predict', dialect: 'google', action: 'countTokens' },
        body: encode({ ...prompt, model: target.model }),
      };
    case 'openai_chat':
    case 'bedrock_model_invoke':
    case 'bedrock_converse':
      return null;
    default:
      return to satisfies never;
  }
}

function readCount(
  from: TranslatedFormat,
  to: TargetFormat,
  status: number,
  body: Uint8Array,
): TranslatedAnswer {
  const parsed = parseObject(Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8'));
  const tokens = asCount(get(parsed, to === 'gemini_generate_content' ? 'totalTokens' : 'input_tokens'));
  if (status >= 200 && status < 300 && tokens !== undefined) return writeCount(from, tokens);
  return errorAnswer(from, status < 400 ? 502 : status, readAnswerError(status, parsed));
}

function writeCount(from: TranslatedFormat, tokens: number): TranslatedAnswer {
  const value = from === 'gemini_generate_content' ? { totalTokens: tokens } : { input_tokens: tokens };
  return { status: 200, contentType: 'application/json', body: Buffer.from(JSON.stringify(value), 'utf8') };
}
