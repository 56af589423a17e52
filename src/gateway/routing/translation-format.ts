/** Which of a provider's formats a request is translated to. */
import type { SurfaceMatch } from '../../llm/index.ts';
import { sourceFormat, type TranslatedFormat } from '../../llm/translate/index.ts';

type ToFormat = (formats: ReadonlySet<string>) => TranslatedFormat | null;

/** Best first: what says most of the caller's format. Chat Completions last but for OpenAI's own. */
const BEST: Readonly<Record<TranslatedFormat, readonly TranslatedFormat[]>> = {
  anthropic_messages: ['openai_responses', 'openai_chat', 'gemini_generate_content'],
  openai_chat: ['openai_responses', 'anthropic_messages', 'gemini_generate_content'],
  openai_responses: ['anthropic_messages', 'openai_chat', 'gemini_generate_content'],
  gemini_generate_content: ['anthropic_messages', 'openai_responses', 'openai_chat'],
};

const TO: Readonly<Record<TranslatedFormat, ToFormat>> = {
  anthropic_messages: (formats) => bestOf('anthropic_messages', formats),
  openai_chat: (formats) => bestOf('openai_chat', formats),
  openai_responses: (formats) => bestOf('openai_responses', formats),
  gemini_generate_content: (formats) => bestOf('gemini_generate_content', formats),
};

function bestOf(from: TranslatedFormat, formats: ReadonlySet<string>): TranslatedFormat | null {
  return BEST[from].find((format) => formats.has(format)) ?? null;
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
 * format of a provider in which a request of that format is put, or null. A format outside of those that
 * are translated gives null.
 */
export function translatedFormatOf(
  format: string,
  providerFormats: ReadonlySet<string>,
): TranslatedFormat | null {
  const from = NAMED[format];
  return from === undefined ? null : bestOf(from, providerFormats);
}

const NAMED: Readonly<Record<string, TranslatedFormat>> = {
  ...COUNTED,
  anthropic_messages: 'anthropic_messages',
  openai_chat: 'openai_chat',
  openai_responses: 'openai_responses',
  gemini_generate_content: 'gemini_generate_content',
  google_generate_content: 'gemini_generate_content',
};

/** What a provider serves with the formats that are translated for it. */
export function withTranslated(formats: ReadonlySet<string>): readonly string[] {
  const all = new Set(formats);
  for (const from of Object.keys(BEST)) {
    if (isTranslated(from) && bestOf(from, formats) !== null) all.add(from);
  }
  return [...all];
}

/** Whether a format is one of those between which is translated. */
export function isTranslated(format: string): format is TranslatedFormat {
  return Object.hasOwn(BEST, format);
}
