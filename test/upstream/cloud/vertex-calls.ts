/**
 * Claude on Vertex where the model's name asks for a behaviour (`behaviours.ts`). It holds callers to
 * Anthropic's pairing rules.
 */
import { composeAnswer } from '../answer.ts';
import { behaviourOfModel } from '../behaviours.ts';
import { anthropicMessages } from '../formats/anthropic.ts';
import { isObject, toolNames, type JsonObject } from '../json.ts';
import { checkPairing, createPairingState, rememberAnswer } from '../pairing/index.ts';
import { insist, jsonAnswer, type Answer } from './received.ts';

export interface VertexCalls {
  /** Null for a model without behaviours. Throws `Violation` for a history that the provider would refuse. */
  answer(model: string, streamed: boolean, body: JsonObject): Answer | null;
}

export function createVertexCalls(): VertexCalls {
  const pairing = createPairingState();
  let serial = 0;
  return {
    answer(model, streamed, body) {
      if (!model.includes('--')) return null;
      serial += 1;
      const behaviour = behaviourOfModel(model);
      const offeredTools = toolNames(body);
      const more = { calls: null, includeUsage: false, text: null };
      const answer = composeAnswer({ serial, model, behaviour, offeredTools, ...more });
      const whole = anthropicMessages.whole(answer);
      insist(isObject(whole), 500, 'an answer is an object');
      const found = checkPairing('anthropic', body, pairing);
      insist(found === null, 400, found?.message ?? '');
      rememberAnswer('anthropic', body, whole, pairing);
      if (!streamed) return jsonAnswer(200, whole);
      return {
        status: 200,
        headers: { 'content-type': 'text/event-stream' },
        body: Buffer.from(anthropicMessages.stream(answer).join('')),
        inBytes: behaviour.chunking === 'byte',
      };
    },
  };
}
