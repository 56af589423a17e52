/**
 * Where a policy would send what was asked for, or why not. Health of providers, keys and circuits
 * is not replayed: every provider counts as well.
 */
import type { Caller } from '../../identity/index.ts';
import type {
  ExplanationReason,
  ModelGrant,
  PolicySnapshot,
  Provider,
  RouteEntry,
} from '../../policy/index.ts';
import type { FormatAbilities } from './ports.ts';

/** One place that the policy would use. */
export interface Target {
  readonly provider: Provider;
  /** Upstream id. */
  readonly model: string;
  readonly grant: ModelGrant;
  /** The provider does not speak the caller's format. */
  readonly translated: boolean;
  readonly weight: number;
}

/** `surface_not_governed`: a rule holds that cannot be enforced on this format. */
export type DenialReason = Exclude<ExplanationReason, 'allowed'> | 'surface_not_governed';

export type RouteForecast =
  | {
      readonly kind: 'allowed';
      /** Not empty; the first is the best of an ordered list. */
      readonly targets: readonly Target[];
      readonly weighted: boolean;
      /** The same for two policies that would choose among the same places in the same way. */
      readonly signature: string;
    }
  | {
      readonly kind: 'denied';
      readonly reason: DenialReason;
      readonly rule: string | null;
      /** The deny entry that would refuse it whatever were granted; null where there is none. */
      readonly closedBy: string | null;
    };

export interface Question {
  readonly caller: Caller;
  /** As the caller named it. */
  readonly model: string;
  readonly format: string;
}

/** Forecasts that are remembered; beyond it the memory starts afresh. */
const REMEMBERED_MAX = 20_000;

export interface RouteForecaster {
  of(question: Question): RouteForecast;
}

export function createRouteForecaster(policy: PolicySnapshot, abilities: FormatAbilities): RouteForecaster {
  let known = new WeakMap<Caller, Map<string, RouteForecast>>();
  let size = 0;
  return {
    of(question) {
      const key = `${question.format}\n${question.model}`;
      const found = known.get(question.caller)?.get(key);
      if (found !== undefined) return found;
      if (size >= REMEMBERED_MAX) {
        known = new WeakMap();
        size = 0;
      }
      const own = known.get(question.caller) ?? new Map<string, RouteForecast>();
      known.set(question.caller, own);
      const forecast = forecastRoute(policy, abilities, question);
      own.set(key, forecast);
      size += 1;
      return forecast;
    },
  };
}

function forecastRoute(
  policy: PolicySnapshot,
  abilities: FormatAbilities,
  question: Question,
): RouteForecast {
  const { caller, model, format } = question;
  const access = policy.accessOf(caller);
  if (caller.token !== null && !caller.token.scopes.includes('use')) return explained(policy, question);
  if (access.roles.size === 0) return explained(policy, question);
  const route = policy.document.routing.routes.get(model);
  const granted: Target[] = [];
  for (const { provider, model: upstream } of policy.resolve(model)) {
    const grant = access.grant(provider.id, upstream);
    if (grant === null) continue;
    const name = `${provider.id}/${upstream}`;
    const weight = route === undefined ? 1 : weightOf(route, name);
    const translated = !provider.formats.has(format);
    granted.push({ provider, model: upstream, grant, translated, weight });
  }
  const speaking = granted.filter(({ translated }) => !translated);
  const targets =
    speaking.length > 0 || !policy.document.routing.translate
      ? speaking
      : granted.filter(({ provider, model: upstream }) => abilities.canTranslate(format, provider, upstream));
  if (targets.length === 0) return explained(policy, question);
  const governed = targets.filter(
    ({ grant, provider, model: upstream }) =>
      grant.governance?.needsInspection !== true || abilities.canGovern(format, provider, upstream),
  );
  if (governed.length === 0)
    return { kind: 'denied', reason: 'surface_not_governed', rule: null, closedBy: null };
  return {
    kind: 'allowed',
    targets: governed,
    weighted: route?.strategy === 'weighted',
    signature: JSON.stringify([
      route?.strategy ?? 'ordered',
      governed.map((target) => [target.provider.id, target.model, target.weight, target.translated]),
    ]),
  };
}

/** Named twice, a target has the sum. */
function weightOf(route: RouteEntry, name: string): number {
  const weights = route.targets.filter((target) => target.model === name).map(({ weight }) => weight);
  return weights.length === 0 ? 1 : weights.reduce((sum, weight) => sum + weight, 0);
}

/** Why not, in the words of `explain`. */
function explained(policy: PolicySnapshot, { caller, model, format }: Question): RouteForecast {
  const { reason, candidates } = policy.explain(caller, model, format);
  const rule = candidates.find(({ deniedBy }) => deniedBy !== null)?.deniedBy ?? null;
  const closedBy = candidates.every(({ deniedBy }) => deniedBy !== null) ? rule : null;
  // Granted and yet without a target: no provider speaks the format, and none is translated for.
  if (reason === 'allowed') return { kind: 'denied', reason: 'format_unsupported', rule: null, closedBy };
  return { kind: 'denied', reason, rule: reason === 'denied' ? rule : null, closedBy };
}

/** The target for one request: the first, or by its weight. `draw` is from 0 to below 1. */
export function chooseTarget(forecast: RouteForecast & { readonly kind: 'allowed' }, draw: number): Target {
  const [first, ...rest] = forecast.targets;
  if (first === undefined) throw new Error('a forecast that allows has a target');
  if (!forecast.weighted) return first;
  const total = forecast.targets.reduce((sum, { weight }) => sum + weight, 0);
  let left = draw * total - first.weight;
  let chosen = first;
  for (const target of rest) {
    if (left < 0) break;
    chosen = target;
    left -= target.weight;
  }
  return chosen;
}

/** The same number for the same session (or request), from 0 to below 1: FNV-1a, 32 bits. */
export function drawOf(text: string): number {
  let hash = 0x811c9dc5;
  for (let i = 0; i < text.length; i += 1) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193);
  // Its low bits are better mixed than its high ones.
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return ((hash ^ (hash >>> 13)) >>> 0) / 2 ** 32;
}
