/**
 * Models that a body names beside `model`; each needs the grant that it would need alone.
 *
 * OpenRouter takes the next of `models` where the first fails, which a caller can bring about, and
 * gateways such as LiteLLM do so with `fallbacks`. A tool of the provider's own may run another
 * model: OpenAI's `image_generation`, Anthropic's `advisor`.
 */
import type { ProviderKind } from '../../policy/index.ts';
import { repeatsMember } from '../ownership/repeated-members.ts';
import type { LlmRequest } from '../steps/read-request.ts';
import { Refused } from '../reasons.ts';
import { carryOver } from './carry-over.ts';
import type { Route, RouteQuestion } from './choose-route.ts';

/** Kinds of servers behind which other gateways may stand; the others refuse what they do not know. */
const MAY_FALL_BACK: ReadonlySet<ProviderKind> = new Set<ProviderKind>(['openrouter', 'compatible']);
/** Members that hold upstream ids. Compared without case, as Go's `encoding/json` reads keys. */
const LISTS: ReadonlySet<string> = new Set(['models', 'fallbacks', 'preset']);

/** Throws `body_invalid` for what is no list of names, `model_not_available` for a name that is not granted. */
export function checkFurtherModels(
  route: Route,
  request: Pick<LlmRequest, 'facts' | 'body'>,
  access: RouteQuestion['access'],
): void {
  if (request.facts === null) return;
  if (MAY_FALL_BACK.has(route.provider.kind)) {
    const models = fallbackModels(request.facts);
    checkGranted(models, route, access);
    checkSameRules(models, route, access);
  }
  checkGranted(toolModels(request.facts, request.body), route, access);
}

function checkGranted(models: readonly string[], route: Route, access: RouteQuestion['access']): void {
  for (const model of models) {
    if (access.grant(route.provider.id, model) !== null) continue;
    throw new Refused('model_not_available', `the model "${model.slice(0, 200)}" is not available to you`);
  }
}

/** The provider changes over unseen: what was decided and reserved for the first model must hold for the next. */
function checkSameRules(models: readonly string[], route: Route, access: RouteQuestion['access']): void {
  for (const model of models) {
    const grant = access.grant(route.provider.id, model);
    if (grant === null || model === route.model) continue;
    const { keepsGuards, keepsReservation } = carryOver(route.grant, grant);
    if (keepsGuards && keepsReservation) continue;
    throw new Refused(
      'model_not_available',
      `other rules or budgets hold for "${model.slice(0, 200)}" than for the model that it would stand in for: ask for it by itself`,
    );
  }
}

type Facts = NonNullable<LlmRequest['facts']>;

function fallbackModels(facts: Facts): readonly string[] {
  let models = NO_MODELS;
  for (const { key } of facts.members) {
    const member = key.toLowerCase();
    const value = LISTS.has(member) ? facts.member(key) : null;
    if (value !== null) models = [...models, ...namesIn(member, value)];
  }
  return models;
}

const NO_MODELS: readonly string[] = [];

function namesIn(member: string, value: unknown): readonly string[] {
  // A stored set of settings of OpenRouter's, with models of its own.
  if (member === 'preset') return [typeof value === 'string' ? `@preset/${value}` : refuse(member, 'a name')];
  if (!Array.isArray(value)) return refuse(member, 'a list of names');
  return value.map((item: unknown) => (typeof item === 'string' ? item : refuse(member, 'a list of names')));
}

/** `"model"`, and an escape that could spell a letter of it. */
const MODEL_MARKERS = [Buffer.from('"model"'), Buffer.from('\\u00')];

const MODEL_MEMBER: ReadonlySet<string> = new Set(['model']);

/** Models that tools of a body run; `facts` are of these bytes. Throws `body_invalid` for a model that is no name. */
export function toolModels(facts: Facts, body: Buffer): readonly string[] {
  const span = facts.span('tools');
  if (span === null) return [];
  const bytes = body.subarray(span.start, span.end);
  // Most tools are functions: a search is enough to leave them unparsed.
  if (!MODEL_MARKERS.some((marker) => bytes.includes(marker))) return [];
  const tools = facts.member('tools');
  if (!Array.isArray(tools)) return [];
  if (repeatsMember(bytes, tools, MODEL_MEMBER))
    throw new Refused('body_invalid', 'a tool of the body repeats its "model": give it once');
  return tools.flatMap((tool: unknown) => {
    if (tool === null || typeof tool !== 'object' || !('model' in tool)) return [];
    return typeof tool.model === 'string' ? [tool.model] : refuse('tools[].model', 'a name');
  });
}

function refuse(member: string, wanted: string): never {
  throw new Refused('body_invalid', `"${member}" must be ${wanted}`);
}
