/**
 * Whether the answer to a request may come from the cache and go there: only where the same bytes ask
 * for the same thing at any time, leave nothing behind at the provider, and concern nobody's
 * objects. What is not known to be so is sent to the provider. What a model does by itself (some search
 * the web unasked) whoever grants the cache for it must know.
 *
 * Requests with tools are never cached. A tool call is an act that is decided afresh each time, its
 * id is unique by the provider's promise (approvals and refusals hang on it), an agent that asks the
 * same again wants out of a loop, and a provider's own tools answer about the moment.
 */
import type { BodyFacts, Format, SurfaceMatch } from '../../llm/index.ts';
import type { CaptureMode, Governance } from '../../policy/index.ts';

/** Formats that only produce text or vectors from what the body says. */
const FORMATS: ReadonlySet<Format> = new Set<Format>([
  'openai_chat',
  'openai_completions',
  'openai_responses',
  'openai_embeddings',
  'anthropic_messages',
  'gemini_generate_content',
  'gemini_embed_content',
  'google_generate_content',
  'google_raw_predict',
  'bedrock_model_invoke',
  'bedrock_converse',
]);

/**
 * Members with which an answer depends on more than the body, or something stays at the provider.
 * Present and not null or false is enough; compared without case, as Go's `encoding/json` reads keys.
 */
const STATEFUL: ReadonlySet<string> = new Set([
  'previous_response_id',
  'conversation',
  'background',
  'container',
  'cachedcontent',
  'cached_content',
  'store',
  'audio',
  'mcp_servers',
  'web_search_options',
  'search_parameters',
  'plugins',
  'preset',
]);

/** Why an answer is neither taken from the cache nor put there. */
export type CacheRefusal =
  | 'not_granted'
  | 'capture_none' /* nothing of this caller's bodies is kept, in memory neither */
  | 'redacted' /* placeholders are those of a session */
  | 'own_credential' /* the answer was bought with the caller's own credential */
  | 'declined' /* the caller said `cache-control: no-cache` or `no-store` */
  | 'no_question' /* no POST with a JSON body, or a format that does more than answer */
  | 'tools'
  | 'stateful';

/** What the question needs of a request and of what holds for it. */
export interface CacheSource {
  readonly governance: Pick<Governance, 'cache' | 'guardrails'> | null;
  readonly capture: CaptureMode;
  readonly match: Pick<SurfaceMatch, 'format' | 'objectId' | 'objectKind' | 'action'>;
  readonly method: string;
  readonly facts: Pick<BodyFacts, 'kind' | 'hasTools' | 'members' | 'member'> | null;
  /** Whether the request names objects of the provider's (files, caches …), anywhere. */
  readonly hasReferences: boolean;
  readonly hasOwnCredential: boolean;
  /** The caller's `cache-control`; undefined if it sent none. */
  readonly cacheControl: string | undefined;
}

/** Null: it may. A caller without a cache pays the first comparison. Never throws. */
export function cacheability(source: CacheSource): CacheRefusal | null {
  const { governance, match, facts } = source;
  if (governance === null || governance.cache === null) return 'not_granted';
  if (source.capture === 'none') return 'capture_none';
  if (governance.guardrails.some(({ action }) => action === 'redact')) return 'redacted';
  if (source.hasOwnCredential) return 'own_credential';
  if (source.cacheControl !== undefined && /\bno-(?:cache|store)\b/i.test(source.cacheControl))
    return 'declined';
  const isAbout = match.objectId !== null || match.objectKind !== undefined || source.hasReferences;
  if (isAbout) return 'stateful';
  if (source.method !== 'POST' || !FORMATS.has(match.format)) return 'no_question';
  // `/v1/responses/compact` and the like: not what the format's name says.
  if (match.format.startsWith('openai_') && match.action !== '') return 'no_question';
  if (facts === null || facts.kind !== 'json') return 'no_question';
  // Under this name publishers take bodies of their own making; Anthropic's are known.
  if (match.format === 'google_raw_predict' && !isGiven(facts.member('anthropic_version')))
    return 'no_question';
  if (facts.hasTools || isGiven(facts.member('tool_choice'))) return 'tools';
  return isStateful(match.format, facts) ? 'stateful' : null;
}

function isStateful(format: Format, facts: Pick<BodyFacts, 'members' | 'member'>): boolean {
  for (const { key } of facts.members) {
    if (STATEFUL.has(key.toLowerCase()) && isGiven(facts.member(key))) return true;
  }
  if (format !== 'openai_responses') return false;
  // Stored unless told not to; and a prompt kept at the provider may change (in completions it is the text).
  return facts.member('store') !== false || isGiven(facts.member('prompt'));
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false;
}
