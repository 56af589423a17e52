/** What a request can cost at most, before it is sent: what budgets reserve (DESIGN section 7). */
import type { Clock } from '../../base/clock.ts';
import { readOutputLimit, type BodyFacts, type OutputLimit, type PriceBook } from '../../llm/index.ts';
import { requestTools } from '../../llm/request-text/index.ts';
import { statedLimits } from '../../policy/index.ts';
import { inputTokensCeiling, type Estimate, type PriceCeiling, type TokenPrice } from '../../quotas/index.ts';
import { JsonScanError, scanJsonArray } from '../../wire/json-scan.ts';
import { objectOperation } from '../ownership/object-operation.ts';
import type { LlmRequest } from '../steps/read-request.ts';
import type { LlmRoute } from '../steps/route.ts';

export interface CostParts {
  readonly clock: Clock;
  readonly prices: Pick<PriceBook, 'modelFacts'>;
  readonly priceCeiling: PriceCeiling;
}

export interface RequestCost {
  readonly estimate: Estimate;
  readonly limit: OutputLimit;
}

const FREE: TokenPrice = { inputNanoPerToken: 0, outputNanoPerToken: 0, requestNano: 0 };
/** Below it the Responses API refuses a limit (API reference, `max_output_tokens`). */
const RESPONSES_MIN_TOKENS = 16;

/** Total: what is not understood of a body counts as unknown input. */
export function costOfRequest(parts: CostParts, request: LlmRequest, route: LlmRoute): RequestCost {
  const body = route.body ?? request.body;
  const facts = route.body === null ? request.facts : null;
  const { format } = request.match;
  const limit = readOutputLimit(format, body, facts);
  const input = readInput(request);
  const inputTokensMax = inputTokensCeiling({ bodyBytes: body.length, ...input });
  const maxOfModel = limit.producesTokens && request.isBillable ? maxOutput(parts, route) : 0;
  const isLater = costsLater(request);
  const asked = isLater ? null : (limit.written ?? maxOfModel);
  return {
    limit,
    estimate: {
      inputTokensMax: request.isBillable ? inputTokensMax : 0,
      outputTokensMax: asked === null ? null : asked * limit.answers,
      outputTokensMin: minOutput(limit, format),
      requests: requestsOf(request),
      unknownInput: request.isBillable && input.isUnknown,
      price: isLater ? null : priceOf(parts, request, route, inputTokensMax),
      clampable: limit.clampable && route.body === null && !isLater,
      metered: isMetered(request, limit),
    },
  };
}

/**
 * Whether it makes what is billed after its answer: a batch that runs, a cache that is kept for hours, a
 * container by its minutes. No reservation could hold that, so no limit on tokens or dollars lets it pass.
 */
function costsLater({ match, method }: LlmRequest): boolean {
  if (method === 'GET' || method === 'HEAD' || method === 'DELETE') return false;
  const { format, objectKind, action } = match;
  if (format === 'gemini_caches') return true;
  const isMade = method === 'POST' && action === '' && match.objectId === null;
  return isMade && (objectKind === 'batch' || objectKind === 'message_batch' || objectKind === 'container');
}

/** A batch makes as many as it has lines: known where they stand in the body, not where they are in a file. */
function requestsOf(request: LlmRequest): number | null {
  const { body, facts, match } = request;
  if (objectOperation(request) !== 'create') return 1;
  if (match.objectKind === 'batch') return null;
  if (match.objectKind !== 'message_batch') return 1;
  const span = facts?.span('requests') ?? null;
  if (span === null) return null;
  try {
    return Math.max(1, scanJsonArray(body, span.start).length);
  } catch (error) {
    if (error instanceof JsonScanError) return null;
    throw error;
  }
}

function priceOf(
  { clock, priceCeiling }: CostParts,
  request: LlmRequest,
  { provider, model }: LlmRoute,
  inputTokensMax: number,
): TokenPrice | null {
  if (provider.builtIn || !request.isBillable) return FREE;
  return priceCeiling({
    basis: provider.costBasis ?? provider.kind,
    model,
    at: clock.now(),
    modelCostMap: provider.modelCostMap,
    inputTokensMax,
  });
}

/** Most tokens of one answer, where the document or the price list says so; else null. */
export function maxOutput(
  { prices, clock }: Pick<CostParts, 'prices' | 'clock'>,
  { provider, model }: LlmRoute,
): number | null {
  const stated = statedLimits(provider, model)?.maxOutput ?? null;
  if (stated !== null || provider.costBasis === null) return stated;
  return prices.modelFacts(provider.costBasis, model, clock.now())?.maxOutput ?? null;
}

function minOutput(limit: OutputLimit, format: string): number {
  if (limit.thinking > 0) return limit.thinking + 1;
  return format === 'openai_responses' ? RESPONSES_MIN_TOKENS : 1;
}

/**
 * Whether every token that is billed is seen as it comes. Thinking that the answer shows in part, or
 * not at all, is billed whole.
 */
function isMetered({ streamed, match, facts }: LlmRequest, limit: OutputLimit): boolean {
  const isAnthropic = match.format === 'anthropic_messages' || match.format === 'google_raw_predict';
  return streamed && isAnthropic && limit.thinking === 0 && facts?.span('thinking') === null;
}

interface InputRead {
  readonly images: number;
  readonly tools: number;
  readonly isUnknown: boolean;
}

/** Members by which a provider reads what is not in the body, or what no count of bytes bounds. */
const UNKNOWN_MARKS = [
  'file_id',
  'fileUri',
  'file_uri',
  'file_url',
  'input_audio',
  'inputAudio',
  'fileData',
  'file_data',
  'cachedContent',
  'cached_content',
  'mcp_servers',
  's3Location',
  'container',
] as const;
const UNKNOWN_TYPES =
  /"(?:media_type|mimeType|mime_type|type)"\s*:\s*"(?:application\/pdf|audio\/|video\/|document|url|input_file|file)/g;
const IMAGE_TYPES =
  /"(?:type|media_type|mimeType|mime_type|format)"\s*:\s*"(?:image|input_image|image_url|png|jpeg|gif|webp)/g;
const BY_ADDRESS = /"(?:url|image_url|fileUri)"\s*:\s*"https?:/;

/** Documents and films of Bedrock's Converse, which names them by their format alone. */
const UNKNOWN_FORMATS =
  /"format"\s*:\s*"(?:pdf|docx?|xlsx?|csv|html|txt|md|mkv|mov|mp4|webm|flv|mpeg|mpg|wmv|three_gp)"/;

/** By the words that stand for such input in every format; a text that happens to hold them counts too. */
function readInput({ body, facts, references }: LlmRequest): InputRead {
  const tools = facts === null ? [] : requestTools(body, facts);
  const keepsContext =
    (references?.length ?? 0) > 0 ||
    (facts?.previousResponseId ?? null) !== null ||
    (facts?.span('conversation') ?? null) !== null ||
    facts?.kind === 'multipart';
  const latin1 = facts?.kind === 'json' ? body.toString('latin1') : '';
  const text = ANY_HINT.test(latin1) ? unescaped(latin1) : '';
  return {
    images: count(text, IMAGE_TYPES),
    tools: tools.length,
    isUnknown:
      keepsContext ||
      // Tools that the provider runs bring input of their own (search results, files, pages).
      tools.some(({ kind }) => kind === 'provider') ||
      (facts !== null && isDearer(facts)) ||
      UNKNOWN_MARKS.some((mark) => text.includes(`"${mark}"`)) ||
      count(text, UNKNOWN_TYPES) > 0 ||
      UNKNOWN_FORMATS.test(text) ||
      BY_ADDRESS.test(text),
  };
}

/** Strings, or their beginnings, without one of which nothing below can match; escapes could hide any. */
const HINTS = [
  ...UNKNOWN_MARKS.map((mark) => `"${mark}"`),
  '"application/pdf',
  '"audio/',
  '"video/',
  '"document',
  '"url"',
  '"input_file',
  '"file"',
  '"format"',
  '"image',
  '"input_image',
  '"http',
  '\\u00',
  '\\/',
];
/** One pass for all of them: a search of the bytes for each costs twenty times as much. */
const ANY_HINT = new RegExp(HINTS.map((hint) => RegExp.escape(hint)).join('|'));

/** JSON lets every letter be written as an escape (RFC 8259 section 7): the words are looked for behind those. */
function unescaped(text: string): string {
  if (!text.includes('\\u00') && !text.includes('\\/')) return text;
  return text.replace(ESCAPED, (_, hex: string | undefined) =>
    hex === undefined ? '/' : String.fromCharCode(Number.parseInt(hex, 16)),
  );
}

/** A slash, and what is printable in ASCII but for the signs that JSON itself is made of. */
const ESCAPED = /\\(?:u00(2[013-9a-f]|[346][0-9a-f]|5[0-9abd-f]|7[0-9a-e])|\/)/gi;

/** Ways of being served that cost more than the list says: no price is known for them. */
function isDearer(facts: BodyFacts): boolean {
  const tier = facts.member('service_tier') ?? facts.member('serviceTier') ?? 'default';
  const speed = facts.member('speed') ?? 'standard';
  const isUsual = typeof tier === 'string' && USUAL_TIERS.has(tier.toLowerCase());
  // Of speech, it is a number and costs nothing.
  return !isUsual || (speed !== 'standard' && typeof speed !== 'number');
}

/** None of them is dearer than the list price (OpenAI's and Anthropic's "Service tiers"). */
const USUAL_TIERS: ReadonlySet<string> = new Set(['auto', 'default', 'standard', 'standard_only', 'flex']);

function count(text: string, pattern: RegExp): number {
  let found = 0;
  pattern.lastIndex = 0;
  while (pattern.exec(text) !== null) found += 1;
  return found;
}
