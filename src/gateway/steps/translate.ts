/** Between guard and forward: a request for a provider that does not speak the caller's format. */
import { newId } from '../../base/ids.ts';
import { applyPatches, isBodyProblem, readRequestBody, type BodyFacts } from '../../llm/index.ts';
import {
  isTranslationProblem,
  sourceFormat,
  translateCount,
  translator,
  type TargetFormat,
  type TranslatedAnswer,
  type TranslatedCount,
  type TranslatedRequest,
  type TranslationProblem,
  type TranslationTarget,
} from '../../llm/translate/index.ts';
import { maxOutput } from '../governing/request-cost.ts';
import type { GatewayParts } from '../ports.ts';
import { Refused } from '../reasons.ts';
import type { ForwardInput } from './forward.ts';

/** What is sent instead of the caller's request, and how its answer comes back. */
export type Translated = Pick<
  TranslatedRequest,
  'path' | 'query' | 'match' | 'headers' | 'body' | 'losses' | 'stream' | 'answers'
>;

/** A count that no provider is asked for. */
export interface EstimatedCount {
  readonly estimate: TranslatedAnswer;
}

/** Null where the provider is spoken to as the caller speaks. Throws `translation_unsupported`, `body_invalid`. */
export function translateRequest(
  parts: GatewayParts,
  input: ForwardInput,
): Translated | EstimatedCount | null {
  const { request, route } = input;
  const to = route.translatesTo;
  if (to === null) return null;
  const facts = patchedFacts(input);
  const from = sourceFormat(request.match);
  if (facts === null) throw unsupported(request.match.format);
  if (from === null) return translateCounting(parts, input, { facts, to });
  const found = translator(from, to);
  if (found === null) throw unsupported(request.match.format);
  const translated = found.request(facts, targetOf(parts, input));
  return isTranslationProblem(translated) ? refuse(translated) : translated;
}

/** Tells an estimate from what is to be sent. */
export function isEstimate(translated: Translated | EstimatedCount): translated is EstimatedCount {
  return 'estimate' in translated;
}

function translateCounting(
  parts: GatewayParts,
  input: ForwardInput,
  { facts, to }: { readonly facts: BodyFacts; readonly to: TargetFormat },
): Translated | EstimatedCount {
  const { request, route } = input;
  const hasCounter = COUNTERS[to].has(route.provider.kind);
  const counted = translateCount(request.match, facts, to, targetOf(parts, input), hasCounter);
  if (counted === null) throw unsupported(request.match.format);
  if (isTranslationProblem(counted)) return refuse(counted);
  return counted.kind === 'estimate' ? { estimate: counted.answer } : asTranslated(counted.request);
}

/** Kinds whose servers count tokens of a format; those that only speak it have no counter. */
const COUNTERS: Readonly<Record<TargetFormat, ReadonlySet<string>>> = {
  anthropic_messages: new Set(['anthropic']),
  openai_responses: new Set(['openai']),
  openai_chat: new Set(),
  gemini_generate_content: new Set(['gemini']),
  google_raw_predict: new Set(['vertex']),
  bedrock_model_invoke: new Set(),
  bedrock_converse: new Set(),
};

function asTranslated({ path, match, headers, body, losses, answer }: TranslatedCount): Translated {
  return {
    path,
    query: '',
    match,
    headers,
    body,
    losses,
    stream: false,
    answers: {
      streamContentType: 'application/json',
      whole: answer,
      createTranscoder: () => {
        throw new Error('assertion failed: a count is no stream');
      },
    },
  };
}

/** A lower output limit stands in the caller's own words before they are translated. */
function patchedFacts({ request, patches }: ForwardInput): BodyFacts | null {
  const { body, facts, match, contentType } = request;
  if (facts === null || patches.length === 0) return facts;
  const patched = readRequestBody(applyPatches(body, patches), match, contentType);
  if (isBodyProblem(patched)) throw new Refused('body_invalid', patched.message);
  return patched;
}

function targetOf(parts: GatewayParts, { exchange, route }: ForwardInput): TranslationTarget {
  const { clock, random } = parts;
  return {
    model: route.model,
    callerModel: route.requestedModel,
    provider: route.provider.id,
    outputMaxTokens: maxOutput(parts, route),
    chatLimitKey: route.provider.kind === 'openai' ? 'max_completion_tokens' : 'max_tokens',
    geminiFraming: exchange.query.includes('alt=sse') ? 'sse' : 'array',
    betas: betasOf(exchange.req.headers['anthropic-beta']),
    newId: (prefix) => newId(prefix, clock, random),
    createdSec: Math.floor(exchange.startedAt / 1000),
  };
}

const BETAS_MAX = 64;

/** The caller's `anthropic-beta`: names with commas between them. */
function betasOf(header: string | readonly string[] | undefined): readonly string[] {
  if (typeof header !== 'string') return [];
  return header
    .split(',', BETAS_MAX)
    .map((name) => name.trim())
    .filter((name) => name !== '');
}

function refuse({ problem, message }: TranslationProblem): never {
  throw new Refused(
    problem === 'translation_malformed' ? 'body_invalid' : 'translation_unsupported',
    message,
  );
}

function unsupported(format: string): Refused {
  return new Refused('translation_unsupported', `a request of ${format} cannot be translated`);
}

/** Flat headers that tell what was lost; none where nothing was. */
export function lossHeaders({ losses }: Pick<Translated, 'losses'>): readonly string[] {
  return losses.length === 0 ? [] : ['x-postern-translation-loss', losses.join(', ')];
}
