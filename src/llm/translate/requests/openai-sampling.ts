/** Parameters that both OpenAI formats share, under one set of rules. */
import type { JsonRecord } from '../../formats/findings.ts';
import type { Block, Conversation, Message, Tool } from '../conversation.ts';
import { openaiReasons } from '../models.ts';
import type { WriteContext } from './context.ts';

/** OpenAI refuses longer names of users. */
const USER_MAX_CHARS = 64;

/** Reasoning models take no temperature and no `top_p` but 1. */
export function writeOpenaiSampling(
  { sampling }: Conversation,
  { losses, target }: WriteContext,
): JsonRecord {
  const { temperature, topP, topK } = sampling;
  if (topK !== null) losses.add('top_k');
  if (openaiReasons(target.model) !== true) return { temperature, top_p: topP };
  if (temperature !== null && temperature !== 1) losses.add('temperature');
  if (topP !== null && topP !== 1) losses.add('top_p');
  return {};
}

/** OpenAI takes objects with their properties only, even where there are none. */
export function functionSchema(schema: JsonRecord): JsonRecord {
  const type = schema['type'] ?? 'object';
  return type === 'object' && schema['properties'] === undefined
    ? { ...schema, type, properties: {} }
    : schema;
}

/** The caller's name for its user, if OpenAI takes it. */
export function openaiUser({ endUser }: Conversation, { losses }: WriteContext): string | null {
  if (endUser === null || endUser.length <= USER_MAX_CHARS) return endUser;
  losses.add('metadata.user_id');
  return null;
}

/** Marks of caches mean nothing here: prompts are cached by themselves. */
export function reportMarks(conversation: Conversation, { losses }: WriteContext): void {
  const isMarked = (found: { readonly cache: unknown }): boolean => found.cache !== null;
  const hasMark = (block: Block): boolean => block.type !== 'thinking' && isMarked(block);
  if (
    conversation.system.some(isMarked) ||
    conversation.tools.some((tool: Tool) => isMarked(tool)) ||
    conversation.messages.some(({ blocks }: Message) => blocks.some(hasMark))
  )
    losses.add('cache_control');
}
