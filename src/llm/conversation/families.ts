/** Formats whose answers are of one shape. */

export type Family = 'anthropic' | 'chat' | 'responses' | 'gemini' | 'converse';

const FAMILIES: Readonly<Record<string, Family>> = {
  anthropic_messages: 'anthropic',
  google_raw_predict: 'anthropic',
  bedrock_model_invoke: 'anthropic',
  openai_chat: 'chat',
  openai_completions: 'chat',
  openai_responses: 'responses',
  gemini_generate_content: 'gemini',
  google_generate_content: 'gemini',
  bedrock_converse: 'converse',
};

/** Undefined where a format's answers are none that people read. */
export function familyOf(format: string): Family | undefined {
  return Object.hasOwn(FAMILIES, format) ? FAMILIES[format] : undefined;
}
