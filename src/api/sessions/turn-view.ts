/** Turns, messages and blocks as the API shows them: each text as a preview, whole by its item. */
import { z } from '@hono/zod-openapi';
import {
  readAnswer,
  type ReadAnswer,
  type ReadBlock,
  type ReadMessage,
  type ReadRequest,
} from '../../llm/conversation/index.ts';
import type { RequestRow, StoredAnswer } from '../../store/shapes.ts';
import type { Actor } from '../actor.ts';
import { RequestSchema, requestView } from '../request-view.ts';
import { NullableTime } from '../schemas.ts';
import type { Turn } from './read-session.ts';

/** Characters of a text that a list shows. */
const PREVIEW_MAX_CHARS = 4_096;
const DESCRIPTION_MAX_CHARS = 500;
const TOOLS_SHOWN_MAX = 512;

export const BlockSchema = z
  .object({
    item: z.string().describe('Names it in `/items/{item}` of its session.'),
    type: z.enum(['text', 'thinking', 'tool_call', 'tool_result', 'image', 'audio', 'document', 'other']),
    text: z.string().describe('At most 4,096 characters; arguments of a call as JSON; an address of media.'),
    cut: z.boolean().describe('There is more.'),
    bytes: z.int().describe('Of all of it.'),
    name: z.string().nullable().describe('Tool, file or media type.'),
    call_id: z.string().nullable().describe('Joins a call and its result.'),
    is_error: z.boolean().nullable(),
  })
  .openapi('ConversationBlock');

export const MessageSchema = z
  .object({ role: z.enum(['system', 'user', 'assistant', 'tool']), blocks: z.array(BlockSchema) })
  .openapi('ConversationMessage');

export const AnswerSchema = z
  .object({
    blocks: z.array(BlockSchema),
    stop_reason: z.string().nullable(),
    cut: z.boolean().describe('It ended early, or is longer than what is kept.'),
    error: z.string().nullable(),
  })
  .openapi('ConversationAnswer');

export const OfferedToolSchema = z.object({ name: z.string(), description: z.string() });

export const ConversationSchema = z
  .object({
    request_id: z.string(),
    format: z.string(),
    content: z.enum(['kept', 'not_kept', 'unreadable']),
    parameters: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])),
    system: z.array(BlockSchema),
    tools: z.array(OfferedToolSchema),
    messages: z.array(MessageSchema),
    answer: AnswerSchema.nullable(),
  })
  .openapi('Conversation');

export const TurnSchema = z
  .object({
    number: z.int().describe('From 1, the oldest.'),
    request: RequestSchema,
    content: z
      .enum(['kept', 'not_kept', 'unreadable', 'hidden'])
      .describe('`hidden`: it was not asked for, or is not yours to read.'),
    parent: z
      .string()
      .nullable()
      .describe('Id of the turn that it goes on from: of forks and sub-agents not the one before.'),
    shared_messages: z.int().describe("The parent's messages, which are not sent again."),
    repeated: z.int().describe("So many of the first `messages` are the parent's answer, come back."),
    system: z.array(BlockSchema).nullable().describe("Null: the parent's."),
    tools: z.array(OfferedToolSchema).nullable().describe("Null: the parent's."),
    messages: z.array(MessageSchema).describe('New in this turn.'),
    answer: AnswerSchema.nullable(),
    approvals: z.array(
      z.object({
        id: z.string(),
        state: z.string(),
        kind: z.string(),
        subject: z.string(),
        decided_at: NullableTime,
      }),
    ),
  })
  .openapi('SessionTurn');

export type BlockView = z.output<typeof BlockSchema>;
export type TurnView = z.output<typeof TurnSchema>;
export type ConversationView = z.output<typeof ConversationSchema>;

/** The answer of a row; null where none is kept, or none that people read. */
export function answerOf(row: RequestRow, stored: StoredAnswer | undefined): ReadAnswer | null {
  if (stored === undefined) return null;
  return readAnswer(row.format, stored.response, {
    contentType: stored.responseContentType,
    status: row.status,
    isTruncated: stored.responseTruncated,
  });
}

/** `place` names the text within its request: `m3.0`, `s.0`, `a.1`. */
export function blockView(requestId: string, place: string, block: ReadBlock): BlockView {
  return {
    item: `${requestId}:${place}`,
    type: block.type,
    text: block.text.slice(0, PREVIEW_MAX_CHARS),
    cut: block.text.length > PREVIEW_MAX_CHARS,
    bytes: block.bytes,
    name: block.name?.slice(0, DESCRIPTION_MAX_CHARS) ?? null,
    call_id: block.callId,
    is_error: block.isError,
  };
}

export function answerView(
  requestId: string,
  answer: ReadAnswer | null,
): z.output<typeof AnswerSchema> | null {
  if (answer === null) return null;
  return {
    blocks: answer.blocks.map((block, i) => blockView(requestId, `a.${i}`, block)),
    stop_reason: answer.stopReason,
    cut: answer.isCut,
    error: answer.error?.slice(0, PREVIEW_MAX_CHARS) ?? null,
  };
}

/** The whole conversation of one request. */
export function conversationView(
  row: RequestRow,
  content: ConversationView['content'],
  request: ReadRequest | null,
  answer: ReadAnswer | null,
): ConversationView {
  return {
    request_id: row.id,
    format: row.format,
    content,
    parameters: { ...request?.parameters },
    system: (request?.system ?? []).map((block, i) => blockView(row.id, `s.${i}`, block)),
    tools: toolsView(request),
    messages: messagesView(row.id, request?.messages ?? [], 0),
    answer: answerView(row.id, answer),
  };
}

export interface TurnContext {
  readonly number: number;
  readonly actor: Actor;
  readonly answer: ReadAnswer | null;
  readonly parentAnswer: ReadAnswer | null;
  readonly approvals: TurnView['approvals'];
}

export function turnView(turn: Turn, context: TurnContext): TurnView {
  const { row, request } = turn;
  const messages = request?.messages.slice(turn.shared) ?? [];
  return {
    number: context.number,
    request: requestView(row, context.actor),
    content: turn.content,
    parent: turn.parent,
    shared_messages: turn.shared,
    repeated: countRepeated(messages, context.parentAnswer),
    system: turn.sameSystem
      ? null
      : (request?.system ?? []).map((block, i) => blockView(row.id, `s.${i}`, block)),
    tools: turn.sameTools ? null : toolsView(request),
    messages: messagesView(row.id, messages, turn.shared),
    answer: answerView(row.id, context.answer),
    approvals: context.approvals,
  };
}

/** Of a reader who sees metadata only. */
export function hiddenTurnView(row: RequestRow, number: number, actor: Actor): TurnView {
  return {
    number,
    request: requestView(row, actor),
    content: 'hidden',
    parent: null,
    shared_messages: 0,
    repeated: 0,
    system: null,
    tools: null,
    messages: [],
    answer: null,
    approvals: [],
  };
}

function toolsView(request: ReadRequest | null): { name: string; description: string }[] {
  return (request?.tools ?? []).slice(0, TOOLS_SHOWN_MAX).map(({ name, description }) => ({
    name,
    description: description.slice(0, DESCRIPTION_MAX_CHARS),
  }));
}

function messagesView(
  requestId: string,
  messages: readonly ReadMessage[],
  first: number,
): z.output<typeof MessageSchema>[] {
  return messages.map(({ role, blocks }, i) => ({
    role,
    blocks: blocks.map((block, j) => blockView(requestId, `m${first + i}.${j}`, block)),
  }));
}

/** Clients put answers back in one message or several, and leave out what the provider need not see again. */
export function countRepeated(messages: readonly ReadMessage[], answer: ReadAnswer | null): number {
  if (answer === null || answer.blocks.length === 0) return 0;
  const said = new Set(answer.blocks.map(keyOf));
  let count = 0;
  while (
    messages[count]?.role === 'assistant' &&
    messages[count]?.blocks.some((block) => said.has(keyOf(block)))
  )
    count += 1;
  return count;
}

function keyOf({ type, text, callId }: ReadBlock): string {
  return type === 'tool_call' && callId !== null ? `call ${callId}` : `${type} ${text.trim()}`;
}
