import type { Format } from '../surface.ts';
import { anthropicMessages } from './anthropic-messages.ts';
import { bedrockConverse } from './bedrock-converse.ts';
import { bedrockInvoke } from './bedrock-invoke.ts';
import type { AnswerDialect, DialectTable } from './dialects.ts';
import { gemini } from './gemini.ts';
import { OPENAI_DIALECTS } from './openai-dialects.ts';

/** Formats that can be governed whatever the model. */
const DIALECTS: DialectTable = {
  ...OPENAI_DIALECTS,
  anthropic_messages: anthropicMessages,
  google_raw_predict: anthropicMessages,
  bedrock_converse: bedrockConverse,
  gemini_generate_content: gemini,
  google_generate_content: gemini,
};

/** The dialect in which a format's answers are edited; null if none can be. */
export function dialectOf(format: Format, bedrockModel: string | null): AnswerDialect | null {
  return format === 'bedrock_model_invoke' ? bedrockInvoke(bedrockModel) : (DIALECTS[format] ?? null);
}
