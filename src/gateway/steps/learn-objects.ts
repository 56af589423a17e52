/** After an answer: a provider object that it made belongs to its caller from now on. */
import type { Caller } from '../../identity/index.ts';
import type { Exchange } from '../exchange.ts';
import { kindOfId } from '../ownership/object-references.ts';
import type { GatewayParts } from '../ports.ts';
import type { Answer } from '../relay.ts';
import type { LlmRequest } from './read-request.ts';
import type { LlmRoute } from './route.ts';

export interface LearnInput {
  readonly exchange: Exchange;
  readonly caller: Caller;
  readonly request: LlmRequest;
  readonly route: LlmRoute;
  readonly answer: Answer;
}

/** Formats whose answers are kept by the provider under their id unless the caller said not to. */
const STORED_ANSWERS = new Set(['openai_responses']);

export function learnObjects(parts: GatewayParts, { exchange, caller, request, route, answer }: LearnInput): void {
  const objectId = answer.meter?.responseId ?? null;
  if (objectId === null || answer.status >= 400 || !STORED_ANSWERS.has(request.match.format)) return;
  if (request.facts?.member('store') === false) return;
  parts.owners.learn({
    tailnet: caller.tailnet,
    provider: route.provider.id,
    kind: kindOfId(objectId) ?? 'response',
    objectId,
    principal: caller.principal,
    keyId: route.key?.id ?? null,
    model: route.model,
    createdAt: exchange.startedAt,
  });
}
