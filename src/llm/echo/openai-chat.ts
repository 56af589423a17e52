/** The test model in Chat Completions and legacy Completions (OpenAI API reference). */
import { encodeSseEvent } from '../../wire/sse.ts';
import { get, type JsonRecord } from '../formats/findings.ts';
import { EVENT_STREAM_TYPE, jsonAnswer, type EchoAnswer } from './answer.ts';
import { pieces, type EchoTurn } from './turn.ts';

export function answerChat(turn: EchoTurn, streamed: boolean): EchoAnswer {
  const head = {
    id: turn.id('chatcmpl'),
    created: turn.createdSec,
    model: turn.model,
    system_fingerprint: 'postern-echo',
  };
  if (streamed) return { status: 200, contentType: EVENT_STREAM_TYPE, chunks: chatChunks(turn, head) };
  const message = {
    role: 'assistant',
    content: turn.toolCall === null ? turn.text : null,
    refusal: null,
    ...toolCalls(turn),
  };
  const choice = { index: 0, message, logprobs: null, finish_reason: finishReason(turn) };
  return jsonAnswer({ ...head, object: 'chat.completion', choices: [choice], usage: chatUsage(turn) });
}

function* chatChunks(turn: EchoTurn, head: JsonRecord): Generator<Buffer> {
  const wantsUsage = get(turn.body['stream_options'], 'include_usage') === true;
  const chunk = (choices: readonly unknown[], usage: unknown): Buffer => {
    // Without `include_usage` a chunk has no such member; with it, all but the last have null.
    const value = { ...head, object: 'chat.completion.chunk', choices, ...(wantsUsage ? { usage } : {}) };
    return encodeSseEvent({ data: JSON.stringify(value) });
  };
  const delta = (value: object, finish: string | null = null): Buffer =>
    chunk([{ index: 0, delta: value, logprobs: null, finish_reason: finish }], null);
  yield delta({ role: 'assistant', content: turn.toolCall === null ? '' : null, refusal: null });
  if (turn.toolCall !== null) {
    const { tool_calls: calls } = toolCalls(turn);
    yield delta({ tool_calls: calls?.map((call, index) => ({ index, ...call })) });
  }
  for (const content of pieces(turn.text)) yield delta({ content });
  yield delta({}, finishReason(turn));
  if (wantsUsage) yield chunk([], chatUsage(turn));
  yield DONE;
}

const DONE = Buffer.from('data: [DONE]\n\n');

interface ToolCall {
  readonly id: string;
  readonly type: 'function';
  readonly function: { readonly name: string; readonly arguments: string };
}

function toolCalls({ toolCall, id }: EchoTurn): { readonly tool_calls?: readonly ToolCall[] } {
  if (toolCall === null) return {};
  const { name, input } = toolCall;
  return {
    tool_calls: [{ id: id('call'), type: 'function', function: { name, arguments: JSON.stringify(input) } }],
  };
}

function finishReason(turn: EchoTurn): string {
  if (turn.toolCall !== null) return 'tool_calls';
  return turn.cut ? 'length' : 'stop';
}

function chatUsage({ inputTokens, outputTokens }: EchoTurn): object {
  return {
    prompt_tokens: inputTokens,
    completion_tokens: outputTokens,
    total_tokens: inputTokens + outputTokens,
    prompt_tokens_details: { cached_tokens: 0, audio_tokens: 0 },
    completion_tokens_details: { reasoning_tokens: 0, audio_tokens: 0 },
  };
}

export function answerCompletion(turn: EchoTurn, streamed: boolean): EchoAnswer {
  const head = {
    id: turn.id('cmpl'),
    object: 'text_completion',
    created: turn.createdSec,
    model: turn.model,
  };
  if (streamed) return { status: 200, contentType: EVENT_STREAM_TYPE, chunks: completionChunks(turn, head) };
  const choice = { index: 0, text: turn.text, logprobs: null, finish_reason: finishReason(turn) };
  return jsonAnswer({ ...head, choices: [choice], usage: chatUsage(turn) });
}

function* completionChunks(turn: EchoTurn, head: JsonRecord): Generator<Buffer> {
  const wantsUsage = get(turn.body['stream_options'], 'include_usage') === true;
  const chunk = (choices: readonly unknown[], usage: unknown): Buffer =>
    encodeSseEvent({ data: JSON.stringify({ ...head, choices, ...(wantsUsage ? { usage } : {}) }) });
  for (const text of pieces(turn.text))
    yield chunk([{ index: 0, text, logprobs: null, finish_reason: null }], null);
  yield chunk([{ index: 0, text: '', logprobs: null, finish_reason: finishReason(turn) }], null);
  if (wantsUsage) yield chunk([], chatUsage(turn));
  yield DONE;
}
