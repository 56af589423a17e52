/** Step 3: provider, upstream model, grant and key for a request; and the objects it refers to are its caller's. */
import type { Caller } from '../../identity/index.ts';
import type { Access, PolicySnapshot } from '../../policy/index.ts';
import type { OwnedObject } from '../../store/index.ts';
import type { ProviderKey } from '../../vault/index.ts';
import { findObjectReferences, kindOfId, mayReferToObjects } from '../ownership/object-references.ts';
import type { GatewayParts } from '../ports.ts';
import { Refused } from '../reasons.ts';
import { chooseRoute, type Route } from '../routing/choose-route.ts';
import type { LlmRequest } from './read-request.ts';

export interface LlmRoute extends Route {
  /** Null for providers that need none, and for the built-in test model. */
  readonly key: ProviderKey | null;
}

export interface RouteInput {
  readonly policy: PolicySnapshot;
  readonly caller: Caller;
  readonly access: Access;
  readonly request: LlmRequest;
}

export function routeLlm(parts: GatewayParts, input: RouteInput): LlmRoute {
  const { request, caller, policy, access } = input;
  const objects = ownedReferences(parts, request, caller);
  const route = request.requestedModel === null ? routeByObject(input, objects) : chooseRoute({ policy, access, requestedModel: request.requestedModel, format: request.match.format });
  const foreign = objects.find((object) => object.provider !== route.provider.id);
  if (foreign !== undefined) throw objectNotFound({ kind: foreign.kind, id: foreign.objectId });
  return { ...route, key: chooseKey(parts, route, objects) };
}

/** The caller's objects that the request names; throws `object_not_found` for any that is not theirs. */
function ownedReferences(parts: GatewayParts, request: LlmRequest, caller: Caller): OwnedObject[] {
  const mayRefer = request.facts !== null && mayReferToObjects(request.body);
  const references = mayRefer ? findObjectReferences(request.facts.value()) : [];
  const { objectId } = request.match;
  if (objectId !== null) references.push({ kind: kindOfId(objectId) ?? 'response', id: objectId });
  return references.map((reference) => {
    const object = parts.owners.find(caller.principal, reference.kind, reference.id);
    if (object === null) throw objectNotFound(reference);
    return object;
  });
}

function objectNotFound(reference: { readonly kind: string; readonly id: string }): Refused {
  return new Refused('object_not_found', `no ${reference.kind.replaceAll('_', ' ')} "${reference.id.slice(0, 100)}" of yours is known here`);
}

/** A route about an object goes where the object lives, if its model is still granted. */
function routeByObject({ policy, access, request }: RouteInput, objects: readonly OwnedObject[]): Route {
  const object = objects[0];
  const provider = object === undefined ? undefined : policy.providers.get(object.provider);
  if (object === undefined || provider === undefined || provider.disabled) {
    throw new Refused('path_unknown', `${request.match.format} is not served on this path`);
  }
  const grant = access.grant(provider.id, object.model ?? '');
  if (grant === null) throw new Refused('model_not_available', 'the model that made this object is not available to you');
  return { provider, requestedModel: '', model: object.model ?? '', grant, isRenamed: false };
}

/** The key that an object was made with stays its key; else any usable one. */
function chooseKey(parts: GatewayParts, route: Route, objects: readonly OwnedObject[]): ProviderKey | null {
  const { provider } = route;
  if (provider.kind === 'echo' || provider.authMode === 'none') return null;
  const pinned = objects.find((object) => object.keyId !== null)?.keyId ?? null;
  const { origin } = provider.baseUrl;
  return pinned === null ? parts.vault.select(provider.id, origin) : parts.vault.selectById(pinned, origin);
}

