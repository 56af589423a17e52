/** The test model in Anthropic Messages (Anthropic API reference, "Streaming messages"). */
import { encodeSseEvent } from '../../wire/sse.ts';
import { EVENT_STREAM_TYPE, jsonAnswer, type EchoAnswer } from './answer.ts';
import { pieces, type EchoTurn } from './turn.ts';

export function answerMessages(turn: EchoTurn, streamed: boolean): EchoAnswer {
  if (!streamed) return jsonAnswer(wholeMessage(turn));
  return { status: 200, contentType: EVENT_STREAM_TYPE, chunks: sseEvents(turn) };
}

export function answerCountTokens(turn: EchoTurn): EchoAnswer {
  return jsonAnswer({ input_tokens: turn.inputTokens });
}

export function wholeMessage(turn: EchoTurn): object {
  const block = turn.toolCall === null ? { type: 'text', text: turn.text } : toolBlock(turn, turn.toolCall);
  return { ...message(turn, [block], stopReason(turn)), usage: usage(turn, turn.outputTokens) };
}

/** An event of Anthropic's stream; every one has its type. */
export interface MessageEvent {
  readonly type: string;
}

function* sseEvents(turn: EchoTurn): Generator<Buffer> {
  for (const event of messageEvents(turn))
    yield encodeSseEvent({ name: event.type, data: JSON.stringify(event) });
}

/** The events of a streamed message, in order; Bedrock's InvokeModel wraps the same ones. */
export function* messageEvents(turn: EchoTurn): Generator<MessageEvent & Record<string, unknown>> {
  yield { type: 'message_start', message: { ...message(turn, [], null), usage: usage(turn, 1) } };
  if (turn.toolCall === null) {
    yield { type: 'content_block_start', index: 0, content_block: { type: 'text', text: '' } };
    yield { type: 'ping' };
    for (const text of pieces(turn.text)) {
      yield { type: 'content_block_delta', index: 0, delta: { type: 'text_delta', text } };
    }
  } else {
    const block = toolBlock(turn, turn.toolCall);
    yield { type: 'content_block_start', index: 0, content_block: { ...block, input: {} } };
    yield { type: 'ping' };
    const delta = { type: 'input_json_delta', partial_json: JSON.stringify(turn.toolCall.input) };
    yield { type: 'content_block_delta', index: 0, delta };
  }
  yield { type: 'content_block_stop', index: 0 };
  const delta = { stop_reason: stopReason(turn), stop_sequence: null };
  yield { type: 'message_delta', delta, usage: { output_tokens: turn.outputTokens } };
  yield { type: 'message_stop' };
}

function message(turn: EchoTurn, content: readonly object[], stop: string | null): object {
  return {
    id: turn.id('msg'),
    type: 'message',
    role: 'assistant',
    model: turn.model,
    content,
    stop_reason: stop,
    stop_sequence: null,
  };
}

function toolBlock(turn: EchoTurn, { name, input }: NonNullable<EchoTurn['toolCall']>): object {
  return { type: 'tool_use', id: turn.id('toolu'), name, input };
}

function stopReason(turn: EchoTurn): string {
  if (turn.toolCall !== null) return 'tool_use';
  return turn.cut ? 'max_tokens' : 'end_turn';
}

function usage(turn: EchoTurn, outputTokens: number): object {
  return {
    input_tokens: turn.inputTokens,
    cache_creation_input_tokens: 0,
    cache_read_input_tokens: 0,
    output_tokens: outputTokens,
  };
}
