/** The test model in Gemini's `generateContent` and its stream (Gemini API reference). */
import { encodeSseEvent } from '../../wire/sse.ts';
import { EVENT_STREAM_TYPE, jsonAnswer, type EchoAnswer } from './answer.ts';
import { pieces, type EchoTurn } from './turn.ts';

/** How a stream is framed: events with `alt=sse`, else one JSON array. */
export type GeminiFraming = 'sse' | 'array';

export function answerGemini(turn: EchoTurn, streamed: boolean, framing: GeminiFraming): EchoAnswer {
  if (!streamed) return jsonAnswer(response(turn, turn.id('gen'), wholePart(turn), true));
  if (framing === 'array')
    return { status: 200, contentType: 'application/json; charset=UTF-8', chunks: arrayChunks(turn) };
  return { status: 200, contentType: EVENT_STREAM_TYPE, chunks: sseChunks(turn) };
}

export function answerGeminiCount(turn: EchoTurn): EchoAnswer {
  const promptTokensDetails = [{ modality: 'TEXT', tokenCount: turn.inputTokens }];
  return jsonAnswer({ totalTokens: turn.inputTokens, promptTokensDetails });
}

function* sseChunks(turn: EchoTurn): Generator<Buffer> {
  for (const part of responses(turn)) yield encodeSseEvent({ data: JSON.stringify(part) });
}

function* arrayChunks(turn: EchoTurn): Generator<Buffer> {
  let separator = '[';
  for (const part of responses(turn)) {
    yield Buffer.from(`${separator}${JSON.stringify(part)}`, 'utf8');
    separator = ',\r\n';
  }
  yield Buffer.from(']');
}

function* responses(turn: EchoTurn): Generator<object> {
  const id = turn.id('gen');
  const parts = turn.toolCall === null ? pieces(turn.text).map((text) => ({ text })) : [wholePart(turn)];
  // An empty answer still has its last response, which carries the end and the usage.
  const last = parts.at(-1) ?? { text: '' };
  for (const part of parts.slice(0, -1)) yield response(turn, id, part, false);
  yield response(turn, id, last, true);
}

function wholePart({ toolCall, text }: EchoTurn): object {
  return toolCall === null ? { text } : { functionCall: { name: toolCall.name, args: toolCall.input } };
}

function response(turn: EchoTurn, responseId: string, part: object, isLast: boolean): object {
  const finish = isLast ? { finishReason: turn.cut ? 'MAX_TOKENS' : 'STOP' } : {};
  const candidatesTokenCount = isLast ? turn.outputTokens : 0;
  return {
    candidates: [{ content: { parts: [part], role: 'model' }, ...finish, index: 0 }],
    usageMetadata: {
      promptTokenCount: turn.inputTokens,
      candidatesTokenCount,
      totalTokenCount: turn.inputTokens + candidatesTokenCount,
    },
    modelVersion: turn.model,
    responseId,
  };
}
