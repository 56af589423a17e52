/** The route, the labels and the body of a request, checked as far as every format allows. */
import { isBodyProblem, isSurfaceMiss, matchSurface, readRequestBody, type BodyFacts, type SurfaceMatch } from '../../llm/index.ts';
import type { Exchange } from '../exchange.ts';
import type { GatewayParts } from '../ports.ts';
import { readBody } from '../read-body.ts';
import { Refused, type ReasonCode } from '../reasons.ts';
import { readLabels, type Labels } from '../sessions/labels.ts';

export interface LlmRequest {
  readonly match: SurfaceMatch;
  readonly labels: Labels;
  readonly body: Buffer;
  /** Null where the request has no body. */
  readonly facts: BodyFacts | null;
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
const NOT_BILLED = new Set(['anthropic_count_tokens', 'gemini_count_tokens', 'openai_moderations', 'openai_files', 'openai_batches', 'openai_objects', 'anthropic_batches', 'anthropic_files', 'models']);

/** The route that a request takes; throws `path_unknown`, `path_doubled`, `method_wrong`. */
export function matchRoute(exchange: Exchange): SurfaceMatch {
  const { req } = exchange;
  const found = matchSurface(req.method ?? '', exchange.path, req.headers['anthropic-version'] !== undefined);
  if (isSurfaceMiss(found)) throw new Refused(MISS_CODES[found.miss], found.message);
  return found;
}

export async function readLlmRequest(parts: GatewayParts, exchange: Exchange, match: SurfaceMatch): Promise<LlmRequest> {
  const { req } = exchange;
  const encoding = req.headers['content-encoding'];
  if (encoding !== undefined && encoding !== 'identity') {
    throw new Refused('encoding_unsupported', `the body has content-encoding "${encoding}", which is not accepted`);
  }
  const body = await readBody(req, parts.limits.bodyMaxBytes, parts.bodyBudget);
  try {
    return toLlmRequest(exchange, match, body);
  } catch (error) {
    parts.bodyBudget.release(body.length);
    throw error;
  }
}

function toLlmRequest(exchange: Exchange, match: SurfaceMatch, body: Buffer): LlmRequest {
  const facts = body.length === 0 ? null : checkedFacts(exchange, match, body);
  const requestedModel = match.model ?? facts?.model ?? null;
  if (requestedModel === null && match.modelInBody) {
    throw new Refused('model_missing', 'the request names no model');
  }
  return {
    match,
    labels: readLabels(exchange.req.headers),
    body,
    facts,
    requestedModel,
    streamed: match.stream ?? facts?.stream ?? false,
    isBillable: !NOT_BILLED.has(match.format) && !NOT_BILLED_ACTIONS.has(match.action),
  };
}

/** Actions of billed formats that only count. */
const NOT_BILLED_ACTIONS = new Set(['input_tokens', 'countTokens']);

function checkedFacts(exchange: Exchange, match: SurfaceMatch, body: Buffer): BodyFacts {
  const read = readRequestBody(body, match, exchange.req.headers['content-type'] ?? null);
  if (isBodyProblem(read)) throw new Refused(read.problem === 'model_missing' ? 'model_missing' : 'body_invalid', read.message);
  return read;
}
