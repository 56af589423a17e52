/** Step 3: provider, upstream model, grant and key for a request; and the objects it refers to are its caller's. */
import type { Caller } from '../../identity/index.ts';
import type { Access, PolicySnapshot } from '../../policy/index.ts';
import type { Exchange } from '../exchange.ts';
import type { TargetFormat } from '../../llm/translate/index.ts';
import type { OwnedObject } from '../../store/index.ts';
import type { ProviderKey } from '../../vault/index.ts';
import type { BatchLines } from '../ownership/batch-lines.ts';
import { createsBatch, createsFile } from '../ownership/object-operation.ts';
import type { ObjectReference } from '../ownership/object-references.ts';
import { referencesOf } from '../ownership/request-references.ts';
import { readUploadedFile } from '../ownership/uploaded-file.ts';
import type { GatewayParts } from '../ports.ts';
import { Refused } from '../reasons.ts';
import { routeBatch, routeCache, routeMessageBatch, type PlacedRoute } from '../routing/batch-route.ts';
import { chooseRoute, type Route } from '../routing/choose-route.ts';
import { checkFurtherModels } from '../routing/further-models.ts';
import { grantedTargets, type GrantedTarget } from '../routing/granted-targets.ts';
import { checkStoredInputs } from '../routing/stored-inputs.ts';
import {
  routeToCollection,
  routeToObject,
  routesToCollection,
  withCaptureOf,
} from '../routing/object-route.ts';
import { ownCredentialHeader, withinCredential } from '../routing/own-credential.ts';
import { pickTargets, subjectOf, type PickedTargets } from '../routing/pick-target.ts';
import { mustHaveKey, peekKey, selectKey, selectPinnedKey } from '../routing/provider-key.ts';
import { callerTimeoutSec, createAttempts, type RequestAttempts } from '../routing/request-attempts.ts';
import type { RetryPlan } from '../routing/retry.ts';
import { stickyKey } from '../routing/sticky.ts';
import { isTarget, translationOf } from '../routing/translation-format.ts';
import type { LlmRequest } from './read-request.ts';

export interface LlmRoute extends Route {
  /** Null for providers that need none, and for the built-in test model. */
  readonly key: ProviderKey | null;
  /** The object that the path names. */
  readonly object: OwnedObject | null;
  /** What is sent where it differs from the caller's body in more than its model; else null. */
  readonly body: Buffer | null;
  /** Models that what is made here asks for: a batch, or the input file of one. Null elsewhere. */
  readonly models: readonly string[] | null;
  /** What the lines of a file of requests may use: of one that is uploaded, and of the batch that is made of it. Null where that is not known. */
  readonly lines: BatchLines | null;
  /** The format that the request is put in; null where the provider speaks the caller's. */
  readonly translatesTo: TargetFormat | null;
  /** Over this target and those that may follow it. */
  readonly attempts: RequestAttempts;
}

export interface RouteInput {
  readonly exchange: Exchange;
  readonly policy: PolicySnapshot;
  readonly caller: Caller;
  readonly access: Access;
  readonly request: LlmRequest;
}

/** Throws or rejects with `Refused`. A promise only where objects are concerned. */
export function routeLlm(parts: GatewayParts, input: RouteInput): LlmRoute | Promise<LlmRoute> {
  const { request } = input;
  const references = referencesOf(request);
  if (references.length > 0 || request.requestedModel === null) return routeObjects(parts, input, references);
  const picked = pick(parts, input, request.requestedModel);
  const [route] = picked.targets;
  if (route === undefined) throw new Error('assertion failed: a granted model has a target');
  const attempts = attemptsOver(parts, input, { picked, isPinned: false });
  return {
    provider: route.provider,
    requestedModel: route.requestedModel,
    model: route.model,
    grant: route.grant,
    isRenamed: route.isRenamed,
    key: selectKey(parts, route.provider),
    object: null,
    body: null,
    models: null,
    lines: null,
    translatesTo: translatesTo(route, request),
    attempts,
  };
}

/**
 * The route of the next attempt. Rights may have been withdrawn since the first: throws `access_revoked`.
 * The record is as private as the most private of the grants that were tried.
 */
export function rerouteLlm(parts: GatewayParts, { request, route, access, on }: RerouteInput): LlmRoute {
  if (on === 'same') return route;
  if (on === 'other_key') return { ...route, key: selectKey(parts, route.provider) };
  const { target } = route.attempts;
  const { provider, model, isRenamed } = target;
  const now = access.grant(provider.id, model);
  if (now === null)
    throw new Refused('access_revoked', 'the right to the model was withdrawn while the request ran');
  const grant = withCaptureOf(now, route.grant);
  return {
    ...route,
    provider,
    model,
    isRenamed,
    grant,
    key: selectKey(parts, provider),
    translatesTo: translatesTo(target, request),
  };
}

function translatesTo({ format }: GrantedTarget, { match }: LlmRequest): TargetFormat | null {
  return format !== match.format && isTarget(format) ? format : null;
}

interface RerouteInput {
  readonly request: LlmRequest;
  readonly route: LlmRoute;
  /** Of now. */
  readonly access: Access;
  readonly on: Extract<RetryPlan, { kind: 'retry' }>['on'];
}

/** What may serve the model, in the order to try. */
function pick(parts: GatewayParts, input: RouteInput, requestedModel: string): PickedTargets<GrantedTarget> {
  const { policy, access, request, caller } = input;
  const { health, random } = parts;
  const translateTo = policy.document.routing.translate ? translationOf(request.match) : undefined;
  const granted = grantedTargets({
    policy,
    access,
    requestedModel,
    format: request.match.format,
    ...(translateTo === undefined ? {} : { translateTo }),
  });
  const candidates = granted.length === 1 ? granted : withKeys(parts, withinReach(input, granted));
  const [only] = candidates;
  if (only !== undefined && candidates.length === 1) checkInputs(only, input);
  const servable = candidates.length === 1 ? candidates : thatMayServe(candidates, input);
  return pickTargets({
    candidates: servable,
    route: policy.document.routing.routes.get(requestedModel) ?? null,
    health,
    stickyKey: servable.length === 1 ? null : stickyKey(caller.principal, request.labels.sessionId),
    random,
  });
}

/** A credential that the caller brought narrows where it may go. */
function withinReach(
  { exchange, caller }: RouteInput,
  targets: readonly GrantedTarget[],
): readonly GrantedTarget[] {
  if (!targets.some(({ provider }) => provider.authMode === 'passthrough')) return targets;
  return ownCredentialHeader(exchange, caller) === null ? targets : withinCredential(targets);
}

/** With the keys that they would be asked with; those that lack theirs only where all do. */
function withKeys(parts: GatewayParts, targets: readonly GrantedTarget[]): readonly GrantedTarget[] {
  const keyed = targets.map((target) => ({ ...target, keyId: peekKey(parts, target.provider) }));
  const usable = keyed.filter(({ keyId, provider }) => keyId !== null || !mustHaveKey(parts, provider));
  return usable.length === 0 ? keyed : usable;
}

/** Throws `Refused` for what the request names and this target may not be asked for. */
function checkInputs(target: Route, { request, access }: RouteInput): void {
  checkFurtherModels(target, request, access);
  checkStoredInputs(target, request);
}

/** Throws what the first target was refused for if no other is left. */
function thatMayServe(targets: readonly GrantedTarget[], input: RouteInput): readonly GrantedTarget[] {
  const kept: GrantedTarget[] = [];
  let refused: Refused | null = null;
  for (const target of targets) {
    try {
      checkInputs(target, input);
      kept.push(target);
    } catch (error) {
      if (!(error instanceof Refused)) throw error;
      refused ??= error;
    }
  }
  if (kept.length === 0 && refused !== null) throw refused;
  return kept;
}

function attemptsOver(
  parts: GatewayParts,
  { policy, request, exchange }: RouteInput,
  { picked, isPinned }: { readonly picked: PickedTargets<GrantedTarget>; readonly isPinned: boolean },
): RequestAttempts {
  const timeoutSec = callerTimeoutSec(exchange.req.headers['x-stainless-timeout']);
  return createAttempts(parts, { policy, request, picked, isPinned, callerTimeoutSec: timeoutSec });
}

async function routeObjects(
  parts: GatewayParts,
  input: RouteInput,
  named: readonly ObjectReference[],
): Promise<LlmRoute> {
  const { request, caller } = input;
  // A batch's input names objects too, each for the provider to look up when the line is run.
  const file = createsFile(request) ? await readUploadedFile(request) : null;
  const references = file === null ? named : [...named, ...file.references];
  const objects = await Promise.all(references.map((reference) => findOwn(parts, caller, reference)));
  const placed = await place(parts, input, objects);
  const { body = null, models = file?.models ?? null, batched, lines: stated, ...route } = placed;
  const lines = batched === undefined ? (stated ?? file?.lines ?? null) : linesOf(parts, batched);
  checkFurtherModels(route, request, input.access);
  checkStoredInputs(route, request);
  const elsewhere = objects.find((object) => object.provider !== route.provider.id);
  if (elsewhere !== undefined) throw objectNotFound({ kind: elsewhere.kind, id: elsewhere.objectId });
  const object = request.match.objectId === null ? null : (objects[0] ?? null);
  const pinned = selectPinnedKey(parts, route.provider, pins(parts, input, route, objects));
  const isPinned = pinned !== 'unpinned';
  const key = isPinned ? pinned : selectKey(parts, route.provider);
  // What an object is bound to has no other place.
  const target = { ...route, format: request.match.format, keyId: key?.id ?? null };
  const picked = { targets: [target], usable: parts.health.isUsable(subjectOf(target)) ? 1 : 0 };
  const attempts = attemptsOver(parts, input, { picked, isPinned });
  return { ...route, body, models, lines, object, key, translatesTo: null, attempts };
}

/** Null where this process has not seen them, or they say that they are for something else than the batch. */
function linesOf(
  { owners }: GatewayParts,
  { input, format }: NonNullable<PlacedRoute['batched']>,
): BatchLines | null {
  const lines = owners.linesOf(input);
  return lines?.format === format ? lines : null;
}

async function findOwn(
  parts: GatewayParts,
  caller: Caller,
  reference: ObjectReference,
): Promise<OwnedObject> {
  const object = await parts.owners.find(caller.principal, reference.kind, reference.id);
  if (object === null) throw objectNotFound(reference);
  return object;
}

/** One answer for what is unknown and what is another's, so that nobody learns what exists. */
function objectNotFound(reference: { readonly kind: string; readonly id: string }): Refused {
  return new Refused(
    'object_not_found',
    `no ${reference.kind.replaceAll('_', ' ')} "${reference.id.slice(0, 100)}" of yours is known here`,
  );
}

async function place(
  parts: GatewayParts,
  input: RouteInput,
  objects: readonly OwnedObject[],
): Promise<PlacedRoute> {
  const { policy, access, request, caller } = input;
  const { match } = request;
  const question = { policy, access, format: match.format };
  const [first] = objects;
  if (request.requestedModel !== null) return placeModel(input, request.requestedModel, first);
  if (match.objectId === null && request.method === 'POST') {
    if (match.objectKind === 'message_batch') return routeMessageBatch(question, request);
    if (match.objectKind === 'cache') return routeCache(question, request);
  }
  if (first !== undefined) {
    const route = routeToObject(question, first);
    if (route === null) throw objectNotFound({ kind: first.kind, id: first.objectId });
    return createsBatch(request) ? routeBatch(question, request, { route, objects }) : route;
  }
  if (createsBatch(request)) throw new Refused('body_invalid', 'the batch names no "input_file_id"');
  if (match.objectKind === undefined) {
    throw new Refused('path_unknown', `${match.format} is not served without a model`);
  }
  if (request.method === 'POST') return routeToCollection(question);
  // A list is of the place where the caller has something, the preferred one if it has nothing.
  const owned = [...parts.owners.ownedBy(caller.principal, match.objectKind).values()];
  const routes = routesToCollection(question);
  const lived = routes.find((route) => owned.some(({ provider }) => provider === route.provider.id));
  return lived ?? routeToCollection(question);
}

/** A model that several providers serve is taken from the one where the named objects are. */
function placeModel(input: RouteInput, requestedModel: string, first: OwnedObject | undefined): Route {
  const { policy, access, request } = input;
  const question = { policy, access, requestedModel, format: request.match.format };
  const route = chooseRoute(question);
  if (first === undefined || first.provider === route.provider.id) return route;
  try {
    return chooseRoute({ ...question, provider: first.provider });
  } catch (error) {
    if (!(error instanceof Refused)) throw error;
    throw objectNotFound({ kind: first.kind, id: first.objectId });
  }
}

/** The objects whose key must be used: those named; for a list, the caller's latest of that kind there. */
function pins(
  parts: GatewayParts,
  { caller, request }: RouteInput,
  route: Route,
  objects: readonly OwnedObject[],
): readonly OwnedObject[] {
  const { objectKind, objectId } = request.match;
  if (objects.length > 0 || objectKind === undefined || objectId !== null || request.method === 'POST')
    return objects;
  return [...parts.owners.ownedBy(caller.principal, objectKind).values()]
    .filter(({ provider }) => provider === route.provider.id)
    .toReversed();
}
