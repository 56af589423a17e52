/** The test model in Responses (OpenAI API reference, "Streaming events"). Nothing is stored. */
import { encodeSseEvent } from '../../wire/sse.ts';
import { EVENT_STREAM_TYPE, jsonAnswer, type EchoAnswer } from './answer.ts';
import { pieces, type EchoTurn } from './turn.ts';

export function answerResponses(turn: EchoTurn, streamed: boolean): EchoAnswer {
  const item = outputItem(turn);
  const build = responseBuilder(turn);
  if (!streamed)
    return jsonAnswer(build(turn.cut ? 'incomplete' : 'completed', [item], responsesUsage(turn)));
  return { status: 200, contentType: EVENT_STREAM_TYPE, chunks: responseEvents(turn, item, build) };
}

export function answerInputTokens(turn: EchoTurn): EchoAnswer {
  return jsonAnswer({ object: 'response.input_tokens', input_tokens: turn.inputTokens });
}

type ResponseBuilder = (status: string, output: readonly unknown[], usage: unknown) => object;

function responseBuilder(turn: EchoTurn): ResponseBuilder {
  const id = turn.id('resp');
  const { body } = turn;
  return (status, output, usage) => ({
    id,
    object: 'response',
    created_at: turn.createdSec,
    status,
    background: false,
    error: null,
    incomplete_details: status === 'incomplete' ? { reason: 'max_output_tokens' } : null,
    instructions: body['instructions'] ?? null,
    max_output_tokens: body['max_output_tokens'] ?? null,
    model: turn.model,
    output,
    parallel_tool_calls: true,
    previous_response_id: null,
    reasoning: { effort: null, summary: null },
    store: false,
    temperature: 1,
    text: { format: { type: 'text' } },
    tool_choice: 'auto',
    tools: [],
    top_p: 1,
    truncation: 'disabled',
    usage,
    metadata: {},
  });
}

type OutputItem = MessageItem | FunctionCallItem;

interface MessageItem {
  readonly id: string;
  readonly type: 'message';
  readonly status: string;
  readonly role: 'assistant';
  readonly content: readonly TextPart[];
}

interface TextPart {
  readonly type: 'output_text';
  readonly text: string;
  readonly annotations: readonly [];
  readonly logprobs: readonly [];
}

interface FunctionCallItem {
  readonly id: string;
  readonly type: 'function_call';
  readonly status: string;
  readonly call_id: string;
  readonly name: string;
  readonly arguments: string;
}

function outputItem({ toolCall, text, id, cut }: EchoTurn): OutputItem {
  if (toolCall !== null) {
    const { name, input } = toolCall;
    return {
      id: id('fc'),
      type: 'function_call',
      status: 'completed',
      call_id: id('call'),
      name,
      arguments: JSON.stringify(input),
    };
  }
  return {
    id: id('msg'),
    type: 'message',
    status: cut ? 'incomplete' : 'completed',
    role: 'assistant',
    content: [textPart(text)],
  };
}

function textPart(text: string): TextPart {
  return { type: 'output_text', text, annotations: [], logprobs: [] };
}

function* responseEvents(turn: EchoTurn, item: OutputItem, build: ResponseBuilder): Generator<Buffer> {
  let sequence = 0;
  const event = (type: string, fields: object): Buffer => {
    const data = JSON.stringify({ type, sequence_number: sequence, ...fields });
    sequence += 1;
    return encodeSseEvent({ name: type, data });
  };
  const opened = build('in_progress', [], null);
  yield event('response.created', { response: opened });
  yield event('response.in_progress', { response: opened });
  const place = { output_index: 0, item_id: item.id };
  if (item.type === 'function_call') {
    yield event('response.output_item.added', {
      output_index: 0,
      item: { ...item, status: 'in_progress', arguments: '' },
    });
    yield event('response.function_call_arguments.delta', { ...place, delta: item.arguments });
    yield event('response.function_call_arguments.done', {
      ...place,
      name: item.name,
      arguments: item.arguments,
    });
  } else {
    const at = { ...place, content_index: 0 };
    yield event('response.output_item.added', {
      output_index: 0,
      item: { ...item, status: 'in_progress', content: [] },
    });
    yield event('response.content_part.added', { ...at, part: textPart('') });
    for (const delta of pieces(turn.text))
      yield event('response.output_text.delta', { ...at, delta, logprobs: [] });
    yield event('response.output_text.done', { ...at, text: turn.text, logprobs: [] });
    yield event('response.content_part.done', { ...at, part: textPart(turn.text) });
  }
  yield event('response.output_item.done', { output_index: 0, item });
  const end = turn.cut ? 'incomplete' : 'completed';
  yield event(`response.${end}`, { response: build(end, [item], responsesUsage(turn)) });
}

function responsesUsage({ inputTokens, outputTokens }: EchoTurn): object {
  return {
    input_tokens: inputTokens,
    input_tokens_details: { cached_tokens: 0 },
    output_tokens: outputTokens,
    output_tokens_details: { reasoning_tokens: 0 },
    total_tokens: inputTokens + outputTokens,
  };
}
