/**
 * What models take and give, and how much: the part that the price list lacks. As of 2026-11-23.
 * Sources: the makers' model pages (platform.claude.com/docs/models/overview, platform.openai.com
 * /docs/models, ai.google.dev/gemini-api/docs/models) and the collection of models.dev (MIT, commit
 * f3c6922 of 2026-07-02). The figures are the maker's own; who hosts a model elsewhere may allow less.
 * A figure on which the sources disagree is null. A document's `model_limits` wins over all of it.
 */

/** What goes into a model or comes out of it. */
export type Modality = 'text' | 'image' | 'audio' | 'video' | 'pdf' | 'embedding';

export interface Modalities {
  readonly input: readonly Modality[];
  readonly output: readonly Modality[];
}

/** Facts of one model. Tokens; null where unknown. */
export interface ModelLimits {
  readonly contextWindow: number | null;
  readonly maxOutput: number | null;
  readonly modalities: Modalities | null;
}

const TEXT: Modalities = { input: ['text'], output: ['text'] };
const SEES: Modalities = { input: ['text', 'image'], output: ['text'] };
const READS: Modalities = { input: ['text', 'image', 'pdf'], output: ['text'] };
const WATCHES: Modalities = { input: ['text', 'image', 'audio', 'video', 'pdf'], output: ['text'] };
const FILMS: Modalities = { input: ['text', 'image', 'video'], output: ['text'] };
const HEARS: Modalities = { input: ['text', 'audio'], output: ['text', 'audio'] };
const DRAWS: Modalities = { input: ['text', 'image'], output: ['image'] };
const WRITES_AND_DRAWS: Modalities = { input: ['text', 'image'], output: ['text', 'image'] };
const SPEAKS: Modalities = { input: ['text'], output: ['audio'] };
const TRANSCRIBES: Modalities = { input: ['audio', 'text'], output: ['text'] };
const EMBEDS: Modalities = { input: ['text'], output: ['embedding'] };

type Row = readonly [
  names: string,
  contextWindow: number | null,
  maxOutput: number | null,
  modalities: Modalities,
];

/** Names without a version's date, separated by spaces; in lower case, dots of Claude's versions as dashes. */
const ROWS: readonly Row[] = [
  // Anthropic
  ['claude-3-haiku claude-3-opus claude-3-sonnet', 200_000, 4_096, READS],
  ['claude-3-5-sonnet claude-3-5-haiku', 200_000, 8_192, READS],
  [
    'claude-3-7-sonnet claude-sonnet-4 claude-sonnet-4-0 claude-4-sonnet claude-sonnet-4-5 claude-haiku-4-5 claude-opus-4-5',
    200_000,
    64_000,
    READS,
  ],
  ['claude-opus-4 claude-opus-4-0 claude-4-opus claude-opus-4-1', 200_000, 32_000, READS],
  ['claude-sonnet-4-6', 1_000_000, null, READS],
  [
    'claude-opus-4-6 claude-opus-4-7 claude-opus-4-8 claude-opus-5 claude-opus-5-5 claude-sonnet-5 claude-sonnet-5-5 claude-haiku-5-5 claude-fable-5 claude-fable-5-1',
    1_000_000,
    128_000,
    READS,
  ],
  // OpenAI
  ['gpt-3.5-turbo', 16_385, 4_096, TEXT],
  ['gpt-4', 8_192, 8_192, TEXT],
  ['gpt-4-turbo', 128_000, 4_096, SEES],
  ['gpt-4o-2024-05-13', 128_000, 4_096, SEES],
  ['gpt-4o gpt-4o-mini', 128_000, 16_384, READS],
  ['gpt-4.1 gpt-4.1-mini gpt-4.1-nano', 1_047_576, 32_768, READS],
  ['gpt-5.1-chat gpt-5.2-chat gpt-5.3-chat', 128_000, 16_384, SEES],
  [
    'gpt-5 gpt-5-chat gpt-5-mini gpt-5-nano gpt-5-codex gpt-5.1 gpt-5.1-codex gpt-5.1-codex-max gpt-5.1-codex-mini gpt-5.2 gpt-5.2-pro gpt-5.2-codex gpt-5.3-codex gpt-5.4-mini gpt-5.4-nano',
    400_000,
    128_000,
    READS,
  ],
  ['gpt-5-pro', 400_000, 272_000, READS],
  ['gpt-5.4 gpt-5.4-pro gpt-5.5 gpt-5.5-pro', 1_050_000, 128_000, READS],
  ['gpt-5.6-luna gpt-5.6-sol gpt-5.6-terra', 1_050_000, null, READS],
  ['gpt-oss-120b gpt-oss-20b', 131_072, null, TEXT],
  ['o1 o1-pro o3 o3-pro o4-mini o3-deep-research o4-mini-deep-research', 200_000, 100_000, READS],
  ['o3-mini', 200_000, 100_000, TEXT],
  ['gpt-4o-audio gpt-4o-mini-audio gpt-audio gpt-audio-mini', 128_000, 16_384, HEARS],
  ['gpt-image-1 gpt-image-1-mini gpt-image-1.5 gpt-image-2', null, null, DRAWS],
  ['gpt-4o-mini-tts tts-1 tts-1-hd', null, null, SPEAKS],
  ['gpt-4o-transcribe gpt-4o-mini-transcribe gpt-transcribe whisper-1', null, null, TRANSCRIBES],
  ['text-embedding-3-large text-embedding-3-small text-embedding-ada-002', 8_192, null, EMBEDS],
  // Google
  ['gemini-2.0-flash gemini-2.0-flash-lite', 1_048_576, 8_192, WATCHES],
  [
    'gemini-2.5-flash gemini-2.5-flash-lite gemini-2.5-pro gemini-3-flash gemini-3-pro gemini-3.1-flash-lite gemini-3.1-pro gemini-3.5-flash gemini-flash gemini-flash-lite',
    1_048_576,
    65_536,
    WATCHES,
  ],
  ['gemini-2.5-flash-image', 32_768, 32_768, WRITES_AND_DRAWS],
  ['gemini-3-pro-image', 131_072, 32_768, WRITES_AND_DRAWS],
  ['gemini-3.1-flash-image', 65_536, 65_536, WRITES_AND_DRAWS],
  [
    'gemini-2.5-flash-tts gemini-2.5-pro-tts gemini-2.5-flash-preview-tts gemini-2.5-pro-preview-tts',
    8_192,
    16_384,
    SPEAKS,
  ],
  ['gemini-embedding-001', 2_048, null, EMBEDS],
  ['gemma-4-26b-a4b-it gemma-4-31b-it', 262_144, 32_768, SEES],
  // Mistral
  ['devstral-2512 mistral-large-2512 mistral-medium-2604', 262_144, null, TEXT],
  ['pixtral-12b pixtral-large', 128_000, null, SEES],
  ['mistral-embed', 8_192, null, EMBEDS],
  // DeepSeek, xAI, Cohere, Amazon, Meta
  ['deepseek-chat deepseek-reasoner deepseek-v4-flash deepseek-v4-pro', 1_000_000, 384_000, TEXT],
  ['grok-4.3', 1_000_000, null, READS],
  ['grok-build-0.1', 256_000, 256_000, READS],
  ['command-r command-r-plus command-r7b', 128_000, 4_000, TEXT],
  ['nova-micro', 128_000, 8_192, TEXT],
  ['nova-lite nova-pro', 300_000, 8_192, FILMS],
  ['llama3-1-8b-instruct llama3-1-70b-instruct llama3-3-70b-instruct', 128_000, 4_096, TEXT],
];

/** The table by name. */
export function knownModels(): ReadonlyMap<string, ModelLimits> {
  const known = new Map<string, ModelLimits>();
  for (const [names, contextWindow, maxOutput, modalities] of ROWS)
    for (const name of names.split(' ')) known.set(name, { contextWindow, maxOutput, modalities });
  return known;
}
