/**
 * Whether a provider may act on a request twice: a generation leaves nothing behind that matters; what
 * makes objects, goes on in the background, writes into a conversation, or has the provider reach
 * out to other systems does.
 */
import type { BodyFacts, Format, SurfaceMatch } from '../../llm/index.ts';

/** Formats that answer and are done. All others make or change objects. */
const ANSWERS_ONLY: ReadonlySet<Format> = new Set<Format>([
  'openai_chat',
  'openai_completions',
  'openai_responses',
  'openai_embeddings',
  'openai_images',
  'openai_audio_speech',
  'openai_audio_transcription',
  'openai_moderations',
  'anthropic_messages',
  'anthropic_count_tokens',
  'gemini_generate_content',
  'gemini_count_tokens',
  'gemini_embed_content',
  'google_generate_content',
  'google_raw_predict',
  'bedrock_model_invoke',
  'bedrock_converse',
]);

/** Members that make a request have effects; present and not null or false is enough. */
const WITH_EFFECTS = ['background', 'conversation', 'container', 'mcp_servers'] as const;

/** Tools by which the provider itself acts on something that stays. */
const ACTING_TOOLS = /^(mcp|code_interpreter|code_execution|shell|hosted_shell)/;

/** What the question needs of a request. */
export interface RepeatSource {
  readonly match: Pick<SurfaceMatch, 'format' | 'objectKind' | 'objectId'>;
  readonly method: string;
  readonly facts: Pick<BodyFacts, 'kind' | 'member' | 'hasTools'> | null;
}

/** Asked only after an attempt failed; parses the members that it looks at. Never throws. */
export function isRepeatable({ match, method, facts }: RepeatSource): boolean {
  // RFC 9110 section 9.2.1
  if (method === 'GET' || method === 'HEAD') return true;
  if (!ANSWERS_ONLY.has(match.format) || match.objectId !== null || match.objectKind !== undefined)
    return false;
  if (facts === null || facts.kind === 'multipart') return true;
  if (WITH_EFFECTS.some((key) => isGiven(facts.member(key)))) return false;
  return !facts.hasTools || !hasActingTool(facts.member('tools'));
}

function isGiven(value: unknown): boolean {
  return value !== undefined && value !== null && value !== false;
}

function hasActingTool(tools: unknown): boolean {
  if (!Array.isArray(tools)) return false;
  return tools.some((tool: unknown) => {
    if (typeof tool !== 'object' || tool === null) return false;
    if ('type' in tool && typeof tool.type === 'string') return ACTING_TOOLS.test(tool.type);
    // Gemini names its own tools by a member.
    return 'codeExecution' in tool || 'code_execution' in tool || 'mcpServers' in tool;
  });
}
