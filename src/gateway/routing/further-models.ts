/**
 * Models that a body names beside `model`; each needs the grant that it would need alone.
 *
 * OpenRouter takes the next of `models` where the first fails, which a caller can bring about, and
 * gateways such as LiteLLM do so with `fallbacks`. A tool of the provider's own may run another
 * model: OpenAI's `image_generation`, Anthropic's `advisor`.
 */
import type { ProviderKind } from '../../policy/index.ts';
import type { LlmRequest } from '../steps/read-request.ts';
import { Refused } from '../reasons.ts';
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
  const names = MAY_FALL_BACK.has(route.provider.kind) ? [...fallbackModels(request.facts)] : [];
  for (const model of [...names, ...toolModels(request.facts, request.body)]) {
    if (access.grant(route.provider.id, model) !== null) continue;
    throw new Refused('model_not_available', `the model "${model.slice(0, 200)}" is not available to you`);
  }
}

type Facts = NonNullable<LlmRequest['facts']>;

function* fallbackModels(facts: Facts): Generator<string> {
  for (const { key } of facts.members) {
    const member = key.toLowerCase();
    if (!LISTS.has(member)) continue;
    const value = facts.member(key);
    if (value === null) continue;
    // A stored set of settings of OpenRouter's, with models of its own.
    if (member === 'preset') yield typeof value === 'string' ? `@preset/${value}` : refuse(member, 'a name');
    else if (!Array.isArray(value)) refuse(member, 'a list of names');
    else for (const item of value) yield typeof item === 'string' ? item : refuse(member, 'a list of names');
  }
}

/** `"model"`, and an escape that could spell a letter of it. */
const MODEL_MARKERS = [Buffer.from('"model"'), Buffer.from('\\u00')];

/** Models that tools of a body run; `facts` are of these bytes. Throws `body_invalid` for a model that is no name. */
export function toolModels(facts: Facts, body: Buffer): readonly string[] {
  const span = facts.span('tools');
  if (span === null) return [];
  const bytes = body.subarray(span.start, span.end);
  // Most tools are functions: a search is enough to leave them unparsed.
  if (!MODEL_MARKERS.some((marker) => bytes.includes(marker))) return [];
  const tools = facts.member('tools');
  if (!Array.isArray(tools)) return [];
  return tools.flatMap((tool: unknown) => {
    if (tool === null || typeof tool !== 'object' || !('model' in tool)) return [];
    return typeof tool.model === 'string' ? [tool.model] : refuse('tools[].model', 'a name');
  });
}

function refuse(member: string, wanted: string): never {
  throw new Refused('body_invalid', `"${member}" must be ${wanted}`);
}
