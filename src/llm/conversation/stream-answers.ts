/** Streamed answers put together again, each as the whole answer that its format would have given. */
import { asArray, asRecord, get, type JsonRecord } from '../formats/findings.ts';
import type { AnswerEvent } from './answer-events.ts';
import { asJson } from './blocks.ts';

/** A whole answer, as far as the stream got. */
export interface Assembled {
  readonly answer: JsonRecord;
  /** The format's own last event was there. */
  readonly hasEnd: boolean;
  readonly error: string | null;
}

/** Parts of one answer; a stream that names more is not an answer. */
const PARTS_MAX = 4_096;

/** Events of Messages: blocks that start, grow and stop. */
export function assembleAnthropic(events: readonly AnswerEvent[]): Assembled {
  const blocks = new Map<number, Record<string, unknown>>();
  const inputs = new Map<number, string>();
  let head: JsonRecord | null = null;
  let end: JsonRecord = { stop_reason: null };
  let usage: JsonRecord | null = null;
  let hasEnd = false;
  let error: string | null = null;
  for (const { data } of events) {
    const index = indexOf(data['index']);
    const block = blocks.get(index);
    const delta = data['delta'];
    switch (data['type']) {
      case 'message_start':
        head = asRecord(data['message']);
        usage = asRecord(get(head, 'usage'));
        break;
      case 'content_block_start':
        if (blocks.size < PARTS_MAX) blocks.set(index, { ...asRecord(data['content_block']) });
        break;
      case 'content_block_delta':
        if (block === undefined) break;
        for (const member of ['text', 'thinking', 'signature'] as const)
          grow(block, member, get(delta, member));
        addCitation(block, get(delta, 'citation'));
        inputs.set(index, (inputs.get(index) ?? '') + textIn(delta, 'partial_json'));
        break;
      case 'message_delta':
        end = { ...end, ...asRecord(delta) };
        usage = Object.assign({}, usage, asRecord(data['usage']));
        break;
      case 'message_stop':
        hasEnd = true;
        break;
      case 'error':
        error = messageOf(data['error']);
        break;
      default:
    }
  }
  for (const [index, text] of inputs) {
    const block = blocks.get(index);
    if (block !== undefined && text !== '') block['input'] = text;
  }
  const answer = { ...head, content: inOrder(blocks), ...end, ...(usage === null ? {} : { usage }) };
  return { answer, hasEnd, error };
}

function addCitation(block: Record<string, unknown>, citation: unknown): void {
  const before = asArray(block['citations']);
  if (asRecord(citation) !== null && before.length < PARTS_MAX) block['citations'] = [...before, citation];
}

/** Chunks of Chat Completions; of several choices all are kept. */
export function assembleChat(events: readonly AnswerEvent[], isDone: boolean): Assembled {
  const choices = new Map<number, ChatChoice>();
  const head: Record<string, unknown> = {};
  let error: string | null = null;
  for (const { data } of events) {
    for (const member of CHAT_MEMBERS) head[member] = data[member] ?? head[member];
    if (data['error'] !== undefined) error = messageOf(data['error']);
    for (const piece of asArray(data['choices'])) {
      const index = indexOf(get(piece, 'index'));
      const choice = choices.get(index) ?? {
        message: { role: 'assistant', content: null },
        calls: new Map(),
        finish: null,
        text: null,
      };
      if (choices.size < PARTS_MAX) choices.set(index, choice);
      addChatPiece(choice, piece);
    }
  }
  const isText = typeof head['object'] === 'string' && head['object'].startsWith('text_completion');
  if (typeof head['object'] === 'string' && !isText) head['object'] = 'chat.completion';
  const whole = [...choices]
    .sort(([a], [b]) => a - b)
    .map(([index, { message, calls, finish, text }]) => ({
      index,
      ...(text === null
        ? { message: calls.size === 0 ? message : withCalls(message, inOrder(calls)) }
        : { text }),
      finish_reason: finish,
    }));
  const hasEnd = isDone || (whole.length > 0 && whole.every((choice) => choice.finish_reason !== null));
  return { answer: { ...head, choices: whole }, hasEnd, error };
}

/** What stands beside the choices, in any chunk; the last word counts. */
const CHAT_MEMBERS = [
  'id',
  'object',
  'created',
  'model',
  'service_tier',
  'system_fingerprint',
  'usage',
] as const;

interface ChatChoice {
  readonly message: Record<string, unknown>;
  readonly calls: Map<number, Record<string, unknown>>;
  finish: unknown;
  /** Of the older completions. */
  text: string | null;
}

function addChatPiece(choice: ChatChoice, piece: unknown): void {
  const delta = get(piece, 'delta');
  choice.finish = get(piece, 'finish_reason') ?? choice.finish;
  const text = get(piece, 'text');
  if (typeof text === 'string') choice.text = (choice.text ?? '') + text;
  for (const member of ['content', 'reasoning_content', 'reasoning', 'refusal'])
    grow(choice.message, member, get(delta, member));
  for (const call of asArray(get(delta, 'tool_calls'))) {
    const index = indexOf(get(call, 'index'));
    const custom = get(call, 'custom');
    const known = choice.calls.get(index) ?? chatCall(custom !== undefined);
    if (choice.calls.size < PARTS_MAX) choice.calls.set(index, known);
    known['id'] ??= get(call, 'id') ?? null;
    const into = known[known['type'] === 'custom' ? 'custom' : 'function'];
    const called = get(call, 'function') ?? custom;
    if (!isOpen(into)) continue;
    grow(into, 'name', get(called, 'name'));
    grow(into, 'arguments', get(called, 'arguments'));
    grow(into, 'input', get(called, 'input'));
  }
}

/** Beside calls a whole answer has no empty text. */
function withCalls(message: JsonRecord, calls: readonly unknown[]): JsonRecord {
  const content = message['content'] === '' ? null : message['content'];
  return { ...message, content, tool_calls: calls };
}

function chatCall(isCustom: boolean): Record<string, unknown> {
  const type = isCustom ? 'custom' : 'function';
  return { id: null, type, [type]: {} };
}

/** Made here, so that it may be written to. */
function isOpen(value: unknown): value is Record<string, unknown> {
  return asRecord(value) !== null;
}

/** Events of Responses: the last one holds the whole answer; without it the items that were done, and texts. */
export function assembleResponses(events: readonly AnswerEvent[]): Assembled {
  const items = new Map<number, unknown>();
  const growing = new Map<number, Record<string, unknown>>();
  let head: JsonRecord | null = null;
  let error: string | null = null;
  for (const { data } of events) {
    const { type, response } = data;
    const index = indexOf(data['output_index']);
    if (type === 'response.completed' || type === 'response.incomplete' || type === 'response.failed')
      return { answer: asRecord(response) ?? {}, hasEnd: true, error: messageOf(get(response, 'error')) };
    if (type === 'response.created') head = asRecord(response);
    if (type === 'response.output_item.done' && items.size < PARTS_MAX) items.set(index, data['item']);
    if (type === 'response.output_item.added' && growing.size < PARTS_MAX)
      growing.set(index, { ...asRecord(data['item']) });
    const item = growing.get(index);
    if (item !== undefined && typeof type === 'string' && type.endsWith('.delta'))
      growItem(item, type, data['delta']);
    if (type === 'error') error = messageOf(data);
  }
  for (const [index, item] of growing) if (!items.has(index)) items.set(index, item);
  return { answer: { ...head, output: inOrder(items), status: 'cut' }, hasEnd: false, error };
}

function growItem(item: Record<string, unknown>, type: string, delta: unknown): void {
  if (type === 'response.output_text.delta') {
    const text = textIn(asArray(item['content'])[0], 'text') + String(delta);
    item['content'] = [{ type: 'output_text', text }];
  } else if (type.startsWith('response.reasoning')) {
    const text = textIn(asArray(item['summary'])[0], 'text') + String(delta);
    item['summary'] = [{ type: 'summary_text', text }];
  } else if (type.includes('_call_arguments') || type.includes('_call_input')) {
    grow(item, type.includes('_input') ? 'input' : 'arguments', delta);
  }
}

/** Chunks of Gemini; neighbouring pieces of one text are one part. Of several candidates all are kept. */
export function assembleGemini(chunks: readonly JsonRecord[]): Assembled {
  const candidates = new Map<number, Candidate>();
  let head: JsonRecord = {};
  let error: string | null = null;
  for (const chunk of chunks) {
    if (chunk['error'] !== undefined) error = messageOf(chunk['error']);
    const { candidates: pieces, error: _, ...beside } = chunk;
    head = { ...head, ...beside };
    for (const piece of asArray(pieces)) {
      const index = indexOf(get(piece, 'index'));
      const known = candidates.get(index) ?? { beside: {}, parts: [] };
      if (candidates.size < PARTS_MAX) candidates.set(index, known);
      addGeminiPiece(known, asRecord(piece) ?? {});
    }
  }
  const whole = inOrder(candidates).map(({ beside, parts }) => ({
    ...beside,
    content: { role: 'model', parts },
  }));
  const hasFinish = whole.some((candidate) => get(candidate, 'finishReason') !== undefined);
  const hasEnd = hasFinish || head['promptFeedback'] !== undefined;
  return { answer: { ...head, ...(whole.length === 0 ? {} : { candidates: whole }) }, hasEnd, error };
}

interface Candidate {
  /** Why it ended, ratings, citations: the last word counts. */
  beside: JsonRecord;
  readonly parts: Record<string, unknown>[];
}

function addGeminiPiece(candidate: Candidate, piece: JsonRecord): void {
  const { content, ...beside } = piece;
  candidate.beside = { ...candidate.beside, ...beside };
  const { parts } = candidate;
  for (const part of asArray(get(content, 'parts'))) {
    const last = parts.at(-1);
    const text = get(part, 'text');
    const isSame = typeof last?.['text'] === 'string' && last['thought'] === get(part, 'thought');
    if (last !== undefined && isSame && typeof text === 'string') {
      grow(last, 'text', text);
      const signature = get(part, 'thoughtSignature');
      if (signature !== undefined) last['thoughtSignature'] = signature;
    } else if (parts.length < PARTS_MAX) parts.push({ ...asRecord(part) });
  }
}

/** Frames of Converse, by their event type. */
export function assembleConverse(events: readonly AnswerEvent[]): Assembled {
  const blocks = new Map<number, Record<string, unknown>>();
  let stopReason: unknown = null;
  let beside: JsonRecord = {};
  let error: string | null = null;
  for (const { name, data } of events) {
    const index = indexOf(data['contentBlockIndex']);
    if (name === 'messageStop') stopReason = data['stopReason'];
    else if (name === 'metadata') beside = data;
    else if (/exception|error/i.test(name)) error = messageOf(data);
    if (blocks.size >= PARTS_MAX) continue;
    if (name === 'contentBlockStart') {
      const tool = asRecord(get(data['start'], 'toolUse'));
      if (tool !== null) blocks.set(index, { toolUse: { ...tool, input: '' } });
    } else if (name === 'contentBlockDelta') {
      addConversePiece(blocks, index, data['delta']);
    }
  }
  const answer = {
    output: { message: { role: 'assistant', content: inOrder(blocks) } },
    stopReason,
    ...beside,
  };
  return { answer, hasEnd: stopReason !== null, error };
}

function addConversePiece(blocks: Map<number, Record<string, unknown>>, index: number, delta: unknown): void {
  const block = blocks.get(index) ?? {};
  blocks.set(index, block);
  grow(block, 'text', get(delta, 'text'));
  const input = get(get(delta, 'toolUse'), 'input');
  const tool = asRecord(block['toolUse']);
  if (tool !== null && typeof input === 'string')
    block['toolUse'] = { ...tool, input: textIn(tool, 'input') + input };
  const thought = get(delta, 'reasoningContent');
  if (thought === undefined) return;
  const redacted = get(thought, 'redactedContent');
  if (redacted !== undefined) {
    block['reasoningContent'] = { redactedContent: redacted };
    return;
  }
  const text = { ...asRecord(get(block['reasoningContent'], 'reasoningText')) };
  for (const member of ['text', 'signature'] as const) grow(text, member, get(thought, member));
  block['reasoningContent'] = { reasoningText: text };
}

/** What a provider says of an error, in any of the usual envelopes. */
export function messageOf(error: unknown): string | null {
  if (error === null || error === undefined) return null;
  if (typeof error === 'string') return error;
  const inner = get(error, 'error');
  const message = get(error, 'message') ?? get(inner, 'message') ?? get(error, 'type');
  if (typeof message === 'string') return message;
  return typeof inner === 'string' ? inner : asJson(error).slice(0, 1_000);
}

function grow(into: Record<string, unknown>, member: string, piece: unknown): void {
  if (typeof piece === 'string') into[member] = textIn(into, member) + piece;
}

function textIn(value: unknown, member: string): string {
  const text = get(value, member);
  return typeof text === 'string' ? text : '';
}

function indexOf(value: unknown): number {
  return typeof value === 'number' ? value : 0;
}

function inOrder<Part>(parts: ReadonlyMap<number, Part>): Part[] {
  return [...parts].sort(([a], [b]) => a - b).map(([, part]) => part);
}
