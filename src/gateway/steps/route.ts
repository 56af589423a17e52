/** Step 3: provider, upstream model, grant and key for a request; and the objects it refers to are its caller's. */
import type { Caller } from '../../identity/index.ts';
import type { Access, PolicySnapshot } from '../../policy/index.ts';
import type { OwnedObject } from '../../store/index.ts';
import type { ProviderKey } from '../../vault/index.ts';
import { createsBatch, createsFile } from '../ownership/object-operation.ts';
import type { ObjectReference } from '../ownership/object-references.ts';
import { referencesOf } from '../ownership/request-references.ts';
import { readUploadedFile } from '../ownership/uploaded-file.ts';
import type { GatewayParts } from '../ports.ts';
import { Refused } from '../reasons.ts';
import { routeBatch, routeCache, routeMessageBatch, type PlacedRoute } from '../routing/batch-route.ts';
import { chooseRoute, type Route } from '../routing/choose-route.ts';
import { checkFurtherModels } from '../routing/further-models.ts';
import { routeToCollection, routeToObject, routesToCollection } from '../routing/object-route.ts';
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
}

export interface RouteInput {
  readonly policy: PolicySnapshot;
  readonly caller: Caller;
  readonly access: Access;
  readonly request: LlmRequest;
}

/** Throws or rejects with `Refused`. A promise only where objects are concerned. */
export function routeLlm(parts: GatewayParts, input: RouteInput): LlmRoute | Promise<LlmRoute> {
  const { request, policy, access } = input;
  const references = referencesOf(request);
  if (references.length > 0 || request.requestedModel === null) return routeObjects(parts, input, references);
  const route = chooseRoute({
    policy,
    access,
    requestedModel: request.requestedModel,
    format: request.match.format,
  });
  checkFurtherModels(route, request, access);
  return { ...route, key: chooseKey(parts, route, []), object: null, body: null, models: null };
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
  const { body = null, models = file?.models ?? null, ...route } = await place(parts, input, objects);
  checkFurtherModels(route, request, input.access);
  const elsewhere = objects.find((object) => object.provider !== route.provider.id);
  if (elsewhere !== undefined) throw objectNotFound({ kind: elsewhere.kind, id: elsewhere.objectId });
  const object = request.match.objectId === null ? null : (objects[0] ?? null);
  return { ...route, body, models, object, key: chooseKey(parts, route, pins(parts, input, route, objects)) };
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

/** The key that an object was made with stays its key; else any usable one. */
function chooseKey(parts: GatewayParts, route: Route, objects: readonly OwnedObject[]): ProviderKey | null {
  const { provider } = route;
  if (provider.kind === 'echo' || provider.authMode === 'none') return null;
  const pinned = objects.find((object) => object.keyId !== null)?.keyId ?? null;
  const { origin } = provider.baseUrl;
  if (pinned === null) return parts.vault.select(provider.id, origin);
  const key = parts.vault.selectById(pinned, origin);
  if (key === null) {
    throw new Refused('key_missing', 'the provider key with which this object was made is no longer usable');
  }
  return key;
}
