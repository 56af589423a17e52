/**
 * The rules by which providers refuse a history: calls without results, results without calls,
 * signatures and reasoning torn from what they belong to. Stricter than the providers where their
 * behaviour is not public, so that what passes here passes there.
 *
 * Use: `checkPairing` on each request, then `rememberAnswer` with the answer as the provider gave it
 * (not as a gateway changed it).
 */
import { isObject, parseJsonObject, type JsonObject } from '../json.ts';
import { checkAnthropic, rememberAnthropic } from './anthropic.ts';
import { checkBedrock, rememberBedrock } from './bedrock.ts';
import { checkGemini, rememberGemini } from './gemini.ts';
import { checkOpenaiChat } from './openai-chat.ts';
import { checkOpenaiResponses, rememberOpenaiResponses } from './openai-responses.ts';
import type { PairingState, Violation } from './state.ts';

export { createPairingState, type PairingState, type Violation } from './state.ts';

/** Bedrock's `invoke` of Anthropic's models follows `anthropic`; `bedrock` is Converse. */
export type PairingDialect = 'anthropic' | 'openai_chat' | 'openai_responses' | 'gemini' | 'bedrock';

/** Why the provider would refuse this request's history; null where it takes it. Throws `FakeError` on a body that is no JSON object. */
export function checkPairing(
  dialect: PairingDialect,
  requestBody: Buffer | JsonObject,
  state: PairingState,
): Violation | null {
  const checks: Readonly<
    Record<PairingDialect, (body: JsonObject, state: PairingState) => Violation | null>
  > = {
    anthropic: checkAnthropic,
    openai_chat: checkOpenaiChat,
    openai_responses: checkOpenaiResponses,
    gemini: checkGemini,
    bedrock: checkBedrock,
  };
  return checks[dialect](read(requestBody), state);
}

/** Keeps what the provider remembers of an answer: signatures, stored responses, conversations. */
export function rememberAnswer(
  dialect: PairingDialect,
  requestBody: Buffer | JsonObject,
  answerBody: Buffer | JsonObject,
  state: PairingState,
): void {
  const answer = read(answerBody);
  if (dialect === 'anthropic') rememberAnthropic(answer, state);
  else if (dialect === 'bedrock') rememberBedrock(answer, state);
  else if (dialect === 'gemini') rememberGemini(answer, state);
  else if (dialect === 'openai_responses') rememberOpenaiResponses(read(requestBody), answer, state);
}

function read(body: Buffer | JsonObject): JsonObject {
  return Buffer.isBuffer(body) ? parseJsonObject(body) : isObject(body) ? body : {};
}
