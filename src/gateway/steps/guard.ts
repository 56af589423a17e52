/**
 * Step 5: rules on the request, before it is sent. What a rule cannot check on this surface is refused
 * here: there is no way around one (DESIGN section 3, step 7).
 */
import type { Caller } from '../../identity/index.ts';
import { isBodyProblem, readRequestBody, type Format } from '../../llm/index.ts';
import { canGovern, repairHistory, restoreRefused } from '../../llm/answer/index.ts';
import type { Access, Governance, GuardrailEntry, PolicySnapshot } from '../../policy/index.ts';
import type { BucketUse } from '../../quotas/index.ts';
import type { Exchange } from '../exchange.ts';
import { askBefore } from '../governing/ask-hooks.ts';
import type { RowDecision } from '../../store/index.ts';
import { askPerson } from '../governing/ask-person.ts';
import { checkTexts } from '../governing/check-texts.ts';
import { checkProviderTools } from '../governing/check-tools.ts';
import { ownerOf } from '../governing/owner.ts';
import type { GatewayParts } from '../ports.ts';
import { Refused } from '../reasons.ts';
import type { LlmRequest } from './read-request.ts';
import type { LlmRoute } from './route.ts';
import { batchRead } from './settle-batch.ts';

export interface GuardInput {
  readonly policy: PolicySnapshot;
  readonly caller: Caller;
  readonly exchange: Exchange;
  readonly access: Access;
  readonly uses: readonly BucketUse[];
  readonly request: LlmRequest;
  readonly route: LlmRoute;
}

export interface Guarded {
  /** As it is to be sent: the same object where nothing was changed. */
  readonly request: LlmRequest;
  /** The conversation at the provider that has the results of refused calls once this request succeeds. */
  readonly answersConversation: string | null;
  readonly decisions: readonly RowDecision[];
}

/** Formats whose answers ask for no calls: rules on tools hold there by themselves. */
const WITHOUT_CALLS: ReadonlySet<Format> = new Set<Format>([
  'openai_images',
  'openai_audio_speech',
  'openai_audio_transcription',
  'openai_embeddings',
  'openai_moderations',
  'openai_files',
  'anthropic_files',
  'anthropic_count_tokens',
  'gemini_count_tokens',
  'gemini_embed_content',
  'gemini_caches',
  'models',
]);

/** Whether an answer of this format must be read for the rules. */
export function governsAnswer(governance: Governance, format: Format): boolean {
  return governsCalls(governance, format) || governance.guardrails.some(looksAtAnswers);
}

export function governsCalls(governance: Governance, format: Format): boolean {
  const isAsked =
    governance.tools !== null || governance.hooks.some(({ events }) => events.includes('tool_call'));
  return isAsked && !WITHOUT_CALLS.has(format);
}

/** What is redacted on its way out is restored on its way back. */
export function looksAtAnswers({ on, action }: GuardrailEntry): boolean {
  return action === 'redact' || on.includes('answer') || on.includes('tool_arguments');
}

/** Rejects with `Refused`. */
export async function guardLlm(
  parts: GatewayParts,
  input: GuardInput,
  governance: Governance,
): Promise<Guarded> {
  if (governsAnswer(governance, input.request.match.format)) refuseUngoverned(input.request, input.route);
  const { request, answersConversation } = withHistory(parts, input);
  const ruled = await withRules(parts, { ...input, request }, governance);
  const hooked = await askBefore(parts, { ...input, governance, request: ruled.request });
  const changed = withBody(ruled.request, hooked.body);
  // What a hook wrote meets the same rules once more, but not the hooks.
  const again =
    changed === ruled.request ? null : await withRules(parts, { ...input, request: changed }, governance);
  return {
    request: again?.request ?? ruled.request,
    answersConversation,
    decisions: [...ruled.decisions, ...hooked.decisions, ...(again?.decisions ?? [])],
  };
}

type Changed = Pick<Guarded, 'request' | 'decisions'>;

async function withRules(parts: GatewayParts, input: GuardInput, governance: Governance): Promise<Changed> {
  const tools = await withAllowedTools(parts, input, governance);
  const texts = await withCheckedTexts(parts, { ...input, request: tools.request }, governance);
  return { request: texts.request, decisions: [...tools.decisions, ...texts.decisions] };
}

async function withAllowedTools(
  parts: GatewayParts,
  input: GuardInput,
  { tools }: Governance,
): Promise<Changed> {
  const { request } = input;
  if (tools === null) return { request, decisions: [] };
  const { body, decisions } = await checkProviderTools(request, tools, ({ name }, { rule }) => {
    const call = { name, argumentsText: '', arguments: undefined };
    const context = { ...input, requestId: input.exchange.id };
    return askPerson(parts, context, { call, rule, hook: null, mode: 'pending' }, () => {});
  });
  return { request: withBody(request, body), decisions };
}

async function withCheckedTexts(
  { governing }: GatewayParts,
  input: GuardInput,
  { guardrails }: Governance,
): Promise<Changed> {
  const { request, caller, route } = input;
  if (guardrails.length === 0) return { request, decisions: [] };
  const { body, decisions } = await checkTexts(governing.guardrails, request, {
    entries: guardrails,
    scope: ownerOf(caller),
    // Where prompts are kept, their values may be, sealed as those are.
    mayKeep: route.grant.capture === 'full',
  });
  return { request: withBody(request, body), decisions };
}

function refuseUngoverned(request: LlmRequest, route: LlmRoute): void {
  const { match, facts } = request;
  const isBatch = match.format === 'openai_batches' || match.format === 'anthropic_batches';
  const makesBatch = isBatch && request.method === 'POST';
  if (makesBatch || batchRead(request, route.object) !== null)
    throw ungoverned(
      'the results of a batch cannot be checked: send its requests one by one, or use a model without such rules',
    );
  if (isBatch) return;
  if (facts?.member('background') === true)
    throw ungoverned(
      'an answer that is made in the background cannot be checked: ask without "background", and with "stream" if it takes long',
    );
  if (!canGovern(match.format, route.model)) throw ungoverned(`answers of ${match.format} cannot be checked`);
}

function ungoverned(why: string): Refused {
  return new Refused('surface_not_governed', `rules on answers hold for you, and ${why}`);
}

/** Refused calls that the provider, or a signature, still knows of get the results that the caller never saw. */
function withHistory(
  { governing }: GatewayParts,
  { caller, request }: GuardInput,
): Pick<Guarded, 'request' | 'answersConversation'> {
  const ledger = governing.refusals.of(ownerOf(caller));
  const { facts, match } = request;
  if (ledger.isEmpty || facts === null || facts.kind !== 'json')
    return { request, answersConversation: null };
  const repaired = repairHistory(match.format, request.body, facts, ledger);
  const body = repaired?.body ?? restoreRefused(match.format, request.body, facts, ledger) ?? request.body;
  return { request: withBody(request, body), answersConversation: repaired?.used.conversationId ?? null };
}

/** The same request with another body, read again; the same object for the same bytes. */
export function withBody(request: LlmRequest, body: Buffer): LlmRequest {
  if (body === request.body) return request;
  const facts = readRequestBody(body, request.match, request.contentType);
  if (isBodyProblem(facts)) throw new Refused('body_invalid', facts.message);
  return { ...request, body, facts };
}
