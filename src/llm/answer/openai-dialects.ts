/** OpenAI's formats whose answers can be edited. */
import type { DialectTable } from './dialects.ts';
import { openaiChatAnswers } from './openai-chat.ts';
import { openaiResponsesAnswers } from './openai-responses.ts';

/**
 * `openai_objects` are stored responses, their replays, and the items of conversations, beside objects
 * without calls (containers, vector stores), which pass.
 */
export const OPENAI_DIALECTS: DialectTable = {
  openai_chat: openaiChatAnswers,
  openai_completions: openaiChatAnswers,
  openai_responses: openaiResponsesAnswers,
  openai_objects: openaiResponsesAnswers,
};
