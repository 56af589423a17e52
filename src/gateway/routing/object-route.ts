/**
 * Providers and grants for routes that name no model: about an object, or a collection of them.
 *
 * An object lives where it was made. A new one, and a list, goes to the provider with the highest
 * preference that speaks the format and of which the caller may use any model; among equals, one
 * that is known by its address comes before a merely compatible one, then the document's order.
 */
import {
  joinGovernance,
  type Access,
  type ModelGrant,
  type PolicySnapshot,
  type Provider,
} from '../../policy/index.ts';
import type { OwnedObject } from '../../store/index.ts';
import { Refused } from '../reasons.ts';
import type { Route } from './choose-route.ts';

export interface ObjectRouteQuestion {
  readonly policy: PolicySnapshot;
  readonly access: Access;
  readonly format: string;
}

/** The place of an object, or null where it is not served (any more) in this format or to this caller. */
export function routeToObject(question: ObjectRouteQuestion, object: OwnedObject): Route | null {
  const provider = question.policy.providers.get(object.provider);
  if (provider === undefined || provider.disabled || provider.builtIn) return null;
  if (!provider.formats.has(question.format)) return null;
  const grant =
    object.model === null
      ? grantOfProvider(question, provider)
      : question.access.grant(provider.id, object.model);
  return grant === null ? null : toRoute(provider, grant, object.model ?? '');
}

/** Where new objects of a format are made. Throws `format_not_available`. */
export function routeToCollection(question: ObjectRouteQuestion): Route {
  return (
    routesToCollection(question)[0] ?? refuseFormat(`no provider that you may use serves ${question.format}`)
  );
}

/** Every place of a format's objects that the caller may use, best first. */
export function routesToCollection(question: ObjectRouteQuestion): readonly Route[] {
  const routes: Route[] = [];
  for (const provider of rankedProviders(question)) {
    const grant = grantOfProvider(question, provider);
    if (grant !== null) routes.push(toRoute(provider, grant, ''));
  }
  return routes;
}

/**
 * The grant for several models of one provider together, named as the provider knows them. Throws
 * `model_not_available` for the first that is not served or not granted.
 */
export function grantOfModels(
  question: ObjectRouteQuestion,
  provider: Provider,
  models: readonly string[],
): ModelGrant | null {
  const grants = models.map((model) => {
    const isServed = question.policy
      .resolve(`${provider.id}/${model}`)
      .some((candidate) => candidate.provider.id === provider.id && candidate.model === model);
    const grant = isServed ? question.access.grant(provider.id, model) : null;
    if (grant === null)
      throw new Refused('model_not_available', `the model "${model}" is not available to you`);
    return grant;
  });
  return joinGrants(grants);
}

/** What holds for several models at once: every rule of each, the capture of the most private. Null for none. */
export function joinGrants(grants: readonly ModelGrant[]): ModelGrant | null {
  const [first, ...rest] = grants;
  if (first === undefined) return null;
  const capture = rest.reduce((found, grant) => morePrivate(found, grant.capture), first.capture);
  if (rest.length === 0) return first;
  return { ...first, capture, governance: joinGovernance(grants.map(({ governance }) => governance)) };
}

/** What may be kept of an exchange for which another model was tried before. */
export function withCaptureOf(grant: ModelGrant, other: Pick<ModelGrant, 'capture'>): ModelGrant {
  return { ...grant, capture: morePrivate(grant.capture, other.capture) };
}

const PRIVACY: Readonly<Record<ModelGrant['capture'], number>> = { full: 0, metadata: 1, none: 2 };

function morePrivate(a: ModelGrant['capture'], b: ModelGrant['capture']): ModelGrant['capture'] {
  return PRIVACY[a] >= PRIVACY[b] ? a : b;
}

function rankedProviders({ policy, format }: ObjectRouteQuestion): readonly Provider[] {
  return [...policy.providers.values()]
    .filter((provider) => !provider.disabled && !provider.builtIn && provider.formats.has(format))
    .sort((a, b) => b.preference - a.preference || isMerelyCompatible(a) - isMerelyCompatible(b));
}

function isMerelyCompatible({ kind }: Provider): number {
  return kind === 'compatible' ? 1 : 0;
}

/** The caller may use the provider if it may use any model of it, listed or by pattern. */
function grantOfProvider({ policy, access }: ObjectRouteQuestion, provider: Provider): ModelGrant | null {
  const listed = policy.listModels().filter((candidate) => candidate.provider.id === provider.id);
  const names = new Set([...listed.map(({ model }) => model), ...provider.models]);
  const grants = [...names].map((model) => access.grant(provider.id, model));
  const held = grants.filter((grant) => grant !== null);
  const joined = joinGrants(held);
  if (joined === null || joined.governance === null) return joined;
  // What no model is asked for is not counted against the budgets of all of them.
  const buckets = held[0]?.governance?.buckets ?? [];
  return { ...joined, governance: { ...joined.governance, buckets } };
}

function toRoute(provider: Provider, grant: ModelGrant, model: string): Route {
  return { provider, requestedModel: '', model, grant, isRenamed: false };
}

function refuseFormat(message: string): never {
  throw new Refused('format_not_available', message);
}
