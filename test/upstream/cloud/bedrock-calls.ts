/**
 * Bedrock's runtime where the model's name asks for a behaviour (`behaviours.ts`): tool calls, signed
 * thinking, one byte a write. It holds callers to the pairing rules of Converse and of Anthropic.
 */
import { composeAnswer, serialId, signatureOf } from '../answer.ts';
import type { Answer } from '../answer.ts';
import { behaviourOfModel } from '../behaviours.ts';
import { anthropicMessages } from '../formats/anthropic.ts';
import { isObject, toolNames, type JsonObject } from '../json.ts';
import { checkPairing, createPairingState, rememberAnswer, type PairingState } from '../pairing/index.ts';
import { insist } from './received.ts';

/** What is to be sent, before it is framed. */
export interface BedrockAnswer {
  readonly whole: JsonObject;
  /** Events by name; those of `invoke` are all `chunk`, with the model's own event. */
  readonly events: readonly (readonly [name: string, payload: object])[];
  /** One byte a write. */
  readonly inBytes: boolean;
}

export interface BedrockCalls {
  /** Null for a model without behaviours. Throws `Violation` for a history that the provider would refuse. */
  answer(model: string, api: 'invoke' | 'converse', body: JsonObject): BedrockAnswer | null;
}

export function createBedrockCalls(): BedrockCalls {
  const pairing = createPairingState();
  let serial = 0;
  return {
    answer(model, api, body) {
      if (!model.includes('--')) return null;
      serial += 1;
      const behaviour = behaviourOfModel(model);
      const answer = composeAnswer({
        serial,
        model,
        behaviour,
        offeredTools: toolNames(body),
        calls: null,
        includeUsage: false,
        text: null,
      });
      const whole = api === 'invoke' ? anthropicMessages.whole(answer) : converseWhole(answer);
      insist(isObject(whole), 500, 'an answer is an object');
      keepPairs(pairing, api === 'invoke' ? 'anthropic' : 'bedrock', body, whole);
      const events = api === 'invoke' ? invokeEvents(answer) : converseEvents(answer);
      return { whole, events, inBytes: behaviour.chunking === 'byte' };
    },
  };
}

function keepPairs(
  pairing: PairingState,
  dialect: 'anthropic' | 'bedrock',
  body: JsonObject,
  whole: JsonObject,
): void {
  const found = checkPairing(dialect, body, pairing);
  insist(found === null, 400, found?.message ?? '');
  rememberAnswer(dialect, body, whole, pairing);
}

function invokeEvents(answer: Answer): BedrockAnswer['events'] {
  return anthropicMessages.stream(answer).map((event) => {
    const json = event.slice(event.indexOf('data: ') + 6).trim();
    return ['chunk', { bytes: Buffer.from(json).toString('base64') }] as const;
  });
}

const THINKING = 'What is wanted is in a file.';
const USAGE = { inputTokens: 13, outputTokens: 6, totalTokens: 19 };

function stopReasonOf({ toolCalls }: Answer): string {
  return toolCalls.length > 0 ? 'tool_use' : 'end_turn';
}

function converseWhole(answer: Answer): JsonObject {
  const signature = signatureOf(answer);
  const content = [
    ...(answer.signed ? [{ reasoningContent: { reasoningText: { text: THINKING, signature } } }] : []),
    ...answer.toolCalls.map((call, index) => ({
      toolUse: {
        toolUseId: serialId('tooluse_', answer.serial, index),
        name: call.name,
        input: JSON.parse(call.arguments),
      },
    })),
    ...(answer.toolCalls.length === 0 ? [{ text: answer.pieces.join('') }] : []),
  ];
  return {
    output: { message: { role: 'assistant', content } },
    stopReason: stopReasonOf(answer),
    usage: USAGE,
    metrics: { latencyMs: 1 },
  };
}

function converseEvents(answer: Answer): BedrockAnswer['events'] {
  const events: (readonly [string, object])[] = [['messageStart', { role: 'assistant' }]];
  let contentBlockIndex = 0;
  const block = (start: object | null, deltas: readonly object[]): void => {
    if (start !== null) events.push(['contentBlockStart', { contentBlockIndex, start }]);
    for (const delta of deltas) events.push(['contentBlockDelta', { contentBlockIndex, delta }]);
    events.push(['contentBlockStop', { contentBlockIndex }]);
    contentBlockIndex += 1;
  };
  if (answer.signed)
    block(null, [
      { reasoningContent: { text: THINKING } },
      { reasoningContent: { signature: signatureOf(answer) } },
    ]);
  for (const [index, call] of answer.toolCalls.entries()) {
    const toolUse = { toolUseId: serialId('tooluse_', answer.serial, index), name: call.name };
    block({ toolUse }, [{ toolUse: { input: call.arguments } }]);
  }
  if (answer.toolCalls.length === 0)
    block(
      null,
      answer.pieces.map((text) => ({ text })),
    );
  events.push(['messageStop', { stopReason: stopReasonOf(answer) }]);
  events.push(['metadata', { usage: USAGE, metrics: { latencyMs: 1 } }]);
  return events;
}
