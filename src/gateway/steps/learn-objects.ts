/** After an answer: a provider object that it made belongs to its caller from now on, and a deleted one to nobody. */
import type { Caller } from '../../identity/index.ts';
import type { NamedObject } from '../../llm/index.ts';
import type { Exchange } from '../exchange.ts';
import { objectOperation } from '../ownership/object-operation.ts';
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

/** Kinds that an answer of a model may bring forth, by format. Nothing else that it names is believed. */
const MADE_BY_ANSWERS: Readonly<Record<string, ReadonlySet<string>>> = {
  openai_responses: new Set(['response', 'item', 'container']),
  anthropic_messages: new Set(['container', 'file']),
  openai_chat: new Set(['audio']),
};
/** Of those, what is kept only if the caller did not say `store: false`. */
const STORED = new Set(['response', 'item']);

export function learnObjects(parts: GatewayParts, input: LearnInput): void {
  const { exchange, caller, request, route, answer } = input;
  if (answer.status < 200 || answer.status >= 300) return;
  if (objectOperation(request) === 'delete' && route.object !== null) parts.owners.forget(route.object);
  for (const made of madeObjects(input)) {
    parts.owners.learn({
      tailnet: caller.tailnet,
      provider: route.provider.id,
      kind: made.kind,
      objectId: made.id,
      principal: caller.principal,
      keyId: route.key?.id ?? null,
      model: route.model === '' ? null : route.model,
      createdAt: exchange.startedAt,
      models: made.kind === request.match.objectKind ? route.models : null,
      parentId: made.parentId,
      settledAt: null,
    });
    if (route.lines !== null && made.kind === 'file' && request.match.objectKind === 'file')
      parts.owners.keepLines({ provider: route.provider.id, kind: 'file', objectId: made.id }, route.lines);
  }
}

function madeObjects(input: LearnInput): readonly NamedObject[] {
  const { request, route, answer } = input;
  // Ids in the provider's own words, under which the caller's format finds nothing.
  if (route.translatesTo !== null) return [];
  const named = answer.meter?.objects ?? [];
  const { format, objectKind } = request.match;
  if (objectKind !== undefined) return named.filter((object) => isMade(input, object));
  const kinds = MADE_BY_ANSWERS[format];
  const made = kinds === undefined ? [] : withBareResponse(named, input);
  if (kinds === undefined || made.length === 0) return [];
  const isStored = request.facts?.member('store') !== false;
  return made.filter(({ kind }) => kinds.has(kind) && (isStored || !STORED.has(kind)));
}

/** A stream that was left early named its response at the beginning only. */
function withBareResponse(
  named: readonly NamedObject[],
  { request, answer }: LearnInput,
): readonly NamedObject[] {
  const id = answer.meter?.responseId ?? null;
  if (request.match.format !== 'openai_responses' || request.match.action !== '' || id === null) return named;
  return named.some(({ kind }) => kind === 'response')
    ? named
    : [...named, { kind: 'response', id, parentId: null }];
}

/** Whether a route about objects brings forth what its answer names; the content of a file says nothing. */
function isMade({ request, route }: LearnInput, object: NamedObject): boolean {
  const { objectKind, action } = request.match;
  const operation = objectOperation(request);
  switch (operation) {
    case 'create':
      return object.kind === objectKind || (object.kind === 'file' && object.parentId !== null);
    case 'list':
      // A list was filtered: its batches are the caller's, and so are the files they wrote.
      return object.kind === 'file' && object.parentId !== null;
    case 'use':
      if (objectKind === 'upload') return action === 'complete' && object.kind === 'file';
      if (objectKind === 'batch') return object.kind === 'file' && object.parentId === route.object?.objectId;
      if (objectKind === 'response') return object.kind === 'item' && action === '';
      return false;
    case 'delete':
    case null:
      return false;
    default:
      return operation satisfies never;
  }
}
