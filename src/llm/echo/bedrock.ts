/** The test model in Bedrock's Converse and InvokeModel (the latter in Anthropic's format). */
import { encodeEventStreamMessage } from '../../wire/aws-event-stream.ts';
import { jsonAnswer, type EchoAnswer } from './answer.ts';
import { messageEvents, wholeMessage } from './anthropic-messages.ts';
import { pieces, type EchoTurn } from './turn.ts';

const FRAMES_TYPE = 'application/vnd.amazon.eventstream';

export function answerConverse(turn: EchoTurn, streamed: boolean): EchoAnswer {
  if (streamed) return { status: 200, contentType: FRAMES_TYPE, chunks: converseFrames(turn) };
  const content = [turn.toolCall === null ? { text: turn.text } : { toolUse: toolUse(turn, turn.toolCall) }];
  return jsonAnswer({
    output: { message: { role: 'assistant', content } },
    stopReason: stopReason(turn),
    usage: converseUsage(turn),
    metrics: { latencyMs: 0 },
  });
}

function* converseFrames(turn: EchoTurn): Generator<Buffer> {
  yield frame('messageStart', { role: 'assistant' });
  const at = { contentBlockIndex: 0 };
  if (turn.toolCall === null) {
    for (const text of pieces(turn.text)) yield frame('contentBlockDelta', { ...at, delta: { text } });
  } else {
    const { name, toolUseId, input } = toolUse(turn, turn.toolCall);
    yield frame('contentBlockStart', { ...at, start: { toolUse: { name, toolUseId } } });
    yield frame('contentBlockDelta', { ...at, delta: { toolUse: { input: JSON.stringify(input) } } });
  }
  yield frame('contentBlockStop', at);
  yield frame('messageStop', { stopReason: stopReason(turn) });
  yield frame('metadata', { usage: converseUsage(turn), metrics: { latencyMs: 0 } });
}

export function answerInvoke(turn: EchoTurn, streamed: boolean): EchoAnswer {
  if (!streamed) return jsonAnswer(wholeMessage(turn));
  return { status: 200, contentType: FRAMES_TYPE, chunks: invokeFrames(turn) };
}

function* invokeFrames(turn: EchoTurn): Generator<Buffer> {
  for (const event of messageEvents(turn)) {
    const metrics = { inputTokenCount: turn.inputTokens, outputTokenCount: turn.outputTokens };
    const value =
      event.type === 'message_stop' ? { ...event, 'amazon-bedrock-invocationMetrics': metrics } : event;
    yield frame('chunk', { bytes: Buffer.from(JSON.stringify(value), 'utf8').toString('base64') });
  }
}

function frame(eventType: string, payload: object): Buffer {
  const text = (value: string) => ({ type: 'string', value }) as const;
  return encodeEventStreamMessage({
    headers: new Map([
      [':event-type', text(eventType)],
      [':content-type', text('application/json')],
      [':message-type', text('event')],
    ]),
    payload: Buffer.from(JSON.stringify(payload), 'utf8'),
  });
}

function toolUse(turn: EchoTurn, { name, input }: NonNullable<EchoTurn['toolCall']>) {
  return { name, toolUseId: turn.id('tooluse'), input };
}

function stopReason(turn: EchoTurn): string {
  if (turn.toolCall !== null) return 'tool_use';
  return turn.cut ? 'max_tokens' : 'end_turn';
}

function converseUsage({ inputTokens, outputTokens }: EchoTurn): object {
  return { inputTokens, outputTokens, totalTokens: inputTokens + outputTokens };
}
