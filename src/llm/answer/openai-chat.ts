/**
 * OpenAI Chat Completions (and legacy Completions, which know no calls): how answers are edited,
 * streamed and whole. Also for stored completions and pages of them.
 */
import type { AnswerDialect } from './dialects.ts';
import type { AnswerEdits, EditedAnswer, ToolVerdict } from './editor.ts';
import type { ChatCallKind } from './openai-chat-calls.ts';
import { ChatReader } from './openai-chat-stream.ts';
import { ChatText } from './openai-chat-text.ts';
import { applyEdits, findSpan, type SpanEdit } from './streams/edit-spans.ts';
import {
  asArray,
  asRecord,
  asText,
  parseArguments,
  parseEventJson,
  type JsonRecord,
} from './streams/event-json.ts';
import { filterArguments, filtersArguments } from './streams/filter-arguments.ts';
import type { DecidedCall } from './streams/ordered-output.ts';
import { SseFraming } from './streams/sse-framing.ts';
import { decideWhole, unreadable } from './streams/whole-answer.ts';

export const openaiChatAnswers: AnswerDialect = {
  framings: { sse: () => new SseFraming() },
  createReader: (parts) => new ChatReader(parts),
  editWhole: editCompletion,
};

type Path = readonly (string | number)[];

/** A call of a whole message. */
interface MessageCall {
  readonly kind: ChatCallKind;
  /** Position in `tool_calls`; null for `function_call`. */
  readonly at: number | null;
  readonly record: JsonRecord;
  readonly asked: DecidedCall;
  /** The filtered arguments differ from the provider's. */
  readonly isFiltered: boolean;
  readonly isAsked: boolean;
}

interface WholeChoice {
  readonly path: Path;
  readonly choice: JsonRecord;
  readonly message: JsonRecord;
  readonly calls: readonly MessageCall[];
}

function editCompletion(body: Buffer, edits: AnswerEdits): EditedAnswer | Promise<EditedAnswer> {
  const answer = parseEventJson(body);
  if (answer === null) return unreadable(body, 'the answer is no plain JSON object');
  try {
    const choices = choicesOf(answer).map(([path, choice]) => readChoice(path, choice, edits));
    const text = new ChatText(edits);
    const asked = choices.flatMap(({ calls }) => calls.filter(({ isAsked }) => isAsked));
    return decideWhole(
      body,
      asked.map((call) => call.asked),
      edits,
      (verdicts) => {
        const byCall = new Map(asked.map((call, at) => [call, verdicts[at]]));
        const changes = choices.flatMap((choice) => editChoice(body, choice, byCall, text));
        return changes.length === 0 ? body : applyEdits(body, changes);
      },
    );
  } catch {
    return unreadable(body, 'a tool call of the answer cannot be read');
  }
}

/** The choices of a completion, or of each completion in a page. */
function choicesOf(answer: JsonRecord): [Path, JsonRecord][] {
  const read = (path: Path, value: unknown): [Path, JsonRecord][] =>
    asArray(asRecord(value)?.['choices']).map((choice, at): [Path, JsonRecord] => {
      const record = asRecord(choice);
      if (record === null) throw new Error('a choice is no object');
      return [[...path, 'choices', at], record];
    });
  return [...read([], answer), ...asArray(answer['data']).flatMap((page, at) => read(['data', at], page))];
}

function readChoice(path: Path, choice: JsonRecord, edits: AnswerEdits): WholeChoice {
  const message = asRecord(choice['message']) ?? {};
  const toolCalls = message['tool_calls'] ?? [];
  if (!Array.isArray(toolCalls)) throw new Error('tool_calls is no list');
  const calls = asArray(toolCalls).map((value, at) => readCall(value, at, edits));
  const functionCall = message['function_call'] ?? null;
  if (functionCall !== null) calls.push(readNamed('function_call', null, functionCall, functionCall, edits));
  return { path, choice, message, calls };
}

function readCall(value: unknown, at: number, edits: AnswerEdits): MessageCall {
  const record = asRecord(value);
  const [fn, custom] = [record?.['function'] ?? null, record?.['custom'] ?? null];
  if ((fn === null) === (custom === null)) throw new Error('a tool call is of no kind or of two');
  return readNamed(fn === null ? 'custom' : 'function', at, value, fn ?? custom, edits);
}

function readNamed(
  kind: ChatCallKind,
  at: number | null,
  value: unknown,
  body: unknown,
  edits: AnswerEdits,
): MessageCall {
  const [record, named] = [asRecord(value), asRecord(body)];
  const name = asText(named?.['name']);
  if (record === null || named === null || name === null || name === '')
    throw new Error('a tool call has no name');
  const given = named[kind === 'custom' ? 'input' : 'arguments'] ?? '';
  const text = asText(given) ?? JSON.stringify(given);
  const filtered = filtersArguments(edits) ? filterArguments(text, edits) : text;
  return {
    kind,
    at,
    record,
    asked: {
      id: asText(record['id']),
      name,
      argumentsText: filtered,
      arguments: kind === 'custom' ? undefined : parseArguments(filtered),
    },
    isFiltered: filtered !== text,
    isAsked: edits.tools?.governs(name) === true,
  };
}

function editChoice(
  body: Buffer,
  { path, choice, message, calls }: WholeChoice,
  verdicts: ReadonlyMap<MessageCall, ToolVerdict | undefined>,
  text: ChatText,
): SpanEdit[] {
  const kept: MessageCall[] = [];
  const refusals: string[] = [];
  const rewritten = new Map<MessageCall, string>();
  for (const call of calls) {
    const verdict = verdicts.get(call);
    if (verdict?.action === 'deny') {
      refusals.push(verdict.text);
      continue;
    }
    kept.push(call);
    if (verdict?.action === 'rewrite') rewritten.set(call, verdict.argumentsText);
    else if (call.isFiltered) rewritten.set(call, call.asked.argumentsText);
  }
  const filtered = text.edit(choice, message, 0, { ends: true });
  const edits: SpanEdit[] = [];
  const replace = (member: string, value: unknown): void => {
    const span = findSpan(body, [...path, member]);
    if (span !== null) edits.push({ ...span, text: JSON.stringify(value) });
  };
  if (filtered?.member === 'text') replace('text', filtered.content);
  if (refusals.length > 0 || rewritten.size > 0 || filtered?.member === 'content') {
    const content = filtered?.member === 'content' ? filtered.content : message['content'];
    replace('message', writeMessage(message, kept, rewritten, withRefusals(content, refusals)));
  }
  if (filtered !== null && choice['logprobs'] !== undefined) replace('logprobs', null);
  const reason = choice['finish_reason'];
  if (refusals.length > 0 && kept.length === 0 && (reason === 'tool_calls' || reason === 'function_call'))
    replace('finish_reason', 'stop');
  return edits;
}

function writeMessage(
  message: JsonRecord,
  kept: readonly MessageCall[],
  rewritten: ReadonlyMap<MessageCall, string>,
  content: unknown,
): JsonRecord {
  const { tool_calls: _, function_call: __, ...rest } = message;
  const written = kept.map((call) => [call, writeCall(call, rewritten.get(call))] as const);
  const toolCalls = written.filter(([{ at }]) => at !== null).map(([, value]) => value);
  const functionCall = written.find(([{ at }]) => at === null)?.[1];
  return {
    ...rest,
    ...(content === undefined ? {} : { content }),
    ...(toolCalls.length === 0 ? {} : { tool_calls: toolCalls }),
    ...(functionCall === undefined ? {} : { function_call: functionCall }),
  };
}

function writeCall({ kind, record }: MessageCall, argumentsText: string | undefined): JsonRecord {
  if (argumentsText === undefined) return record;
  if (kind === 'function_call') return { ...record, arguments: argumentsText };
  const body = asRecord(record[kind]) ?? {};
  return { ...record, [kind]: { ...body, [kind === 'custom' ? 'input' : 'arguments']: argumentsText } };
}

/** The refusing texts behind what the model said, each in a paragraph of its own. */
function withRefusals(content: unknown, refusals: readonly string[]): unknown {
  if (refusals.length === 0) return content;
  const said = refusals.join('\n\n');
  if (Array.isArray(content)) return [...content.map((part: unknown) => part), { type: 'text', text: said }];
  const before = asText(content) ?? '';
  return before === '' ? said : `${before}\n\n${said}`;
}
