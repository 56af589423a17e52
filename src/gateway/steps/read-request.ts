/** The route, the labels and the body of a request, checked as far as every format allows. */
import { isSurfaceMiss, matchSurface, type BodyFacts, type SurfaceMatch } from '../../llm/index.ts';
import type { StoredInputs } from '../../llm/stored-inputs/index.ts';
import type { TrackedExchange } from '../active.ts';
import type { Exchange } from '../exchange.ts';
import { bodyFacts } from '../large-bodies/read-body-facts.ts';
import type { ObjectReference } from '../ownership/object-references.ts';
import type { GatewayParts } from '../ports.ts';
import { contentCodingOf, decodeBody, type ContentCoding } from '../decode-body.ts';
import { readBody } from '../read-body.ts';
import { Refused, type ReasonCode } from '../reasons.ts';
import { readLabels, type Labels } from '../sessions/labels.ts';

export interface LlmRequest {
  readonly match: SurfaceMatch;
  readonly method: string;
  readonly contentType: string | null;
  readonly labels: Labels;
  readonly body: Buffer;
  /** Null where the request has no body. */
  readonly facts: BodyFacts | null;
  /** The objects that it names, where they were found with the facts; null: nobody has looked yet. */
  readonly references: readonly ObjectReference[] | null;
  /** What it asks a cloud to read, where it was found with the facts; null: nobody has looked yet. */
  readonly storedInputs: StoredInputs | null;
  /** From the path or the body; null where the route is about an object, not a model. */
  readonly requestedModel: string | null;
  readonly streamed: boolean;
  /** A model produces something, so it costs. */
  readonly isBillable: boolean;
}

const MISS_CODES = {
  unknown_path: 'path_unknown',
  doubled_version: 'path_doubled',
  method_not_allowed: 'method_wrong',
  bad_model_id: 'body_invalid',
} as const satisfies Record<string, ReasonCode>;

/** Formats that ask about something without having a model produce anything. */
const NOT_BILLED = new Set([
  'anthropic_count_tokens',
  'gemini_count_tokens',
  'openai_moderations',
  'openai_files',
  'openai_batches',
  'openai_objects',
  'anthropic_batches',
  'anthropic_files',
  'gemini_caches',
  'models',
]);

/** The route that a request takes; throws `path_unknown`, `path_doubled`, `method_wrong`. */
export function matchRoute(exchange: Exchange): SurfaceMatch {
  const { req } = exchange;
  const { headers } = req;
  const isGoogleClient =
    headers['x-goog-api-client'] !== undefined || headers['x-goog-api-key'] !== undefined;
  const found = matchSurface(
    req.method ?? '',
    exchange.path,
    headers['anthropic-version'] !== undefined,
    isGoogleClient,
  );
  if (isSurfaceMiss(found)) throw new Refused(MISS_CODES[found.miss], found.message);
  return found;
}

/** Throws `encoding_unsupported`; rejects as `readBody` does, and with what is wrong with the body. */
export function readLlmRequest(
  parts: GatewayParts,
  exchange: Exchange,
  match: SurfaceMatch,
  active: TrackedExchange,
): Promise<LlmRequest> {
  const { req } = exchange;
  const coding = contentCodingOf(req);
  const limits = { maxBytes: parts.limits.bodyMaxBytes, budget: parts.bodyBudget, active };
  return readBody(req, limits, (body) =>
    coding === null || body.length === 0
      ? readWhole(parts, exchange, match, body)
      : readDecoded(parts, exchange, match, { body, coding }),
  );
}

/** What stays taken from the budget is the decoded body, which is the request's. */
async function readDecoded(
  parts: GatewayParts,
  exchange: Exchange,
  match: SurfaceMatch,
  { body, coding }: { readonly body: Buffer; readonly coding: ContentCoding },
): Promise<LlmRequest> {
  const { bodyBudget: budget, limits } = parts;
  const decoded = await decodeBody(body, coding, { maxBytes: limits.bodyMaxBytes, budget });
  // Kept, because an array that went to another thread has no length any more.
  const size = decoded.length;
  try {
    const request = await readWhole(parts, exchange, match, decoded);
    budget.release(body.length);
    return request;
  } catch (error) {
    budget.release(size);
    throw error;
  }
}

/** A promise only for a body that is so large that a thread reads it. */
function readWhole(
  parts: GatewayParts,
  exchange: Exchange,
  match: SurfaceMatch,
  body: Buffer,
): LlmRequest | Promise<LlmRequest> {
  const question = { match, contentType: exchange.req.headers['content-type'] ?? null };
  if (body.length > parts.largeBodies.fromBytes)
    return parts.largeBodies.read(body, question).then((read) => toLlmRequest(exchange, match, read));
  const facts = body.length === 0 ? null : bodyFacts(body, question);
  return toLlmRequest(exchange, match, { body, facts, references: null, storedInputs: null });
}

function toLlmRequest(
  exchange: Exchange,
  match: SurfaceMatch,
  {
    body,
    facts,
    references,
    storedInputs,
  }: Pick<LlmRequest, 'body' | 'facts' | 'references' | 'storedInputs'>,
): LlmRequest {
  const requestedModel = match.model ?? facts?.model ?? defaultModel(match, facts);
  if (requestedModel === null && match.modelInBody) {
    throw new Refused('model_missing', 'the request names no model');
  }
  return {
    match,
    method: exchange.req.method ?? '',
    contentType: exchange.req.headers['content-type'] ?? null,
    labels: readLabels(exchange.req.headers),
    body,
    facts,
    references,
    storedInputs,
    requestedModel,
    streamed: (match.stream ?? facts?.stream ?? false) || readsStreamAgain(exchange, match),
    isBillable: !NOT_BILLED.has(match.format) && !NOT_BILLED_ACTIONS.has(match.action),
  };
}

/** What OpenAI takes where a moderation names no model (API reference, "Create moderation"). */
function defaultModel(match: SurfaceMatch, facts: BodyFacts | null): string | null {
  return match.format === 'openai_moderations' && facts !== null ? 'omni-moderation-latest' : null;
}

/** `GET /v1/responses/{id}?stream=true` */
function readsStreamAgain({ query }: Exchange, { objectKind, action }: SurfaceMatch): boolean {
  return objectKind === 'response' && action === '' && /(?:^|&)stream=true(?:&|$)/.test(query);
}

/** Actions of billed formats that only count. */
const NOT_BILLED_ACTIONS = new Set(['input_tokens', 'countTokens']);
