/** Which of a provider's formats a request is translated to. */
import type { SurfaceMatch } from '../../llm/index.ts';
import {
  servesModel,
  sourceFormat,
  type TargetFormat,
  type TranslatedFormat,
} from '../../llm/translate/index.ts';

type ToFormat = (formats: ReadonlySet<string>, model: string) => TargetFormat | null;

/** Claude by the clouds' own routes, then what serves every model of Bedrock. */
const CLOUDS = ['google_raw_predict', 'bedrock_model_invoke', 'bedrock_converse'] as const;

/**
 * Best first: what says most of the caller's format. Chat Completions last but for OpenAI's own. The clouds'
 * formats stand before those that the same provider speaks for other models.
 */
const BEST: Readonly<Record<TranslatedFormat, readonly TargetFormat[]>> = {
  anthropic_messages: [...CLOUDS, 'openai_responses', 'openai_chat', 'gemini_generate_content'],
  openai_chat: ['openai_responses', 'anthropic_messages', ...CLOUDS, 'gemini_generate_content'],
  openai_responses: ['anthropic_messages', ...CLOUDS, 'openai_chat', 'gemini_generate_content'],
  gemini_generate_content: ['anthropic_messages', ...CLOUDS, 'openai_responses', 'openai_chat'],
};

const TO: Readonly<Record<TranslatedFormat, ToFormat>> = {
  anthropic_messages: (formats, model) => bestOf('anthropic_messages', formats, model),
  openai_chat: (formats, model) => bestOf('openai_chat', formats, model),
  openai_responses: (formats, model) => bestOf('openai_responses', formats, model),
  gemini_generate_content: (formats, model) => bestOf('gemini_generate_content', formats, model),
};

/** Where no model is named, one that the format is for is meant. */
function bestOf(
  from: TranslatedFormat,
  formats: ReadonlySet<string>,
  model: string | undefined,
): TargetFormat | null {
  const isServed = (format: TargetFormat): boolean =>
    formats.has(format) && (model === undefined || servesModel(format, model));
  return BEST[from].find(isServed) ?? null;
}

/** Token counts of what is asked in a format. */
const COUNTED: Readonly<Record<string, TranslatedFormat>> = {
  anthropic_count_tokens: 'anthropic_messages',
  gemini_count_tokens: 'gemini_generate_content',
};

/** For requests on this route; undefined where nothing of it can be translated. */
export function translationOf(match: SurfaceMatch): ToFormat | undefined {
  const from = sourceFormat(match) ?? COUNTED[match.format];
  return from === undefined ? undefined : TO[from];
}

/**
 * As `translationOf`, where only the name of a format is known (a recorded row, a question to `explain`): the
 * format of a provider in which a request of that format is put for its model, or null. A format outside of
 * those that are translated gives null. Without a model: whether any could be served.
 */
export function translatedFormatOf(
  format: string,
  providerFormats: ReadonlySet<string>,
  model?: string,
): TargetFormat | null {
  const from = NAMED[format];
  return from === undefined ? null : bestOf(from, providerFormats, model);
}

const NAMED: Readonly<Record<string, TranslatedFormat>> = {
  ...COUNTED,
  anthropic_messages: 'anthropic_messages',
  openai_chat: 'openai_chat',
  openai_responses: 'openai_responses',
  gemini_generate_content: 'gemini_generate_content',
  google_generate_content: 'gemini_generate_content',
};

/** What a provider serves a model as, with the formats that are translated for it. */
export function withTranslated(formats: ReadonlySet<string>, model: string): readonly string[] {
  const all = new Set(formats);
  for (const from of SOURCES) if (bestOf(from, formats, model) !== null) all.add(from);
  return [...all];
}

const SOURCES = [
  'anthropic_messages',
  'openai_chat',
  'openai_responses',
  'gemini_generate_content',
] as const satisfies readonly TranslatedFormat[];

const TARGETS: ReadonlySet<string> = new Set<TargetFormat>([...SOURCES, ...CLOUDS]);

/** Whether a format is one of those that is translated to. */
export function isTarget(format: string): format is TargetFormat {
  return TARGETS.has(format);
}
