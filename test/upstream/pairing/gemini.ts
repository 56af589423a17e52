/**
 * Gemini. Sources: "Function calling with the Gemini API" (a response for each call, directly after
 * the turn of the calls), "Thought signatures" (Gemini 3: the first call of each step of the current
 * turn bears its signature, as it was received), and the 400 texts seen in public reports. A current
 * turn begins with the last content of the user that is more than function responses.
 */
import { isObject, type JsonObject } from '../json.ts';
import { objects, text, violation, type PairingState, type Violation } from './state.ts';

/** Values that the documentation gives for calls which no model made. */
const PLACEHOLDERS: ReadonlySet<string> = new Set([
  'skip_thought_signature_validator',
  'context_engineering_is_the_way_to_go',
]);

export function checkGemini(body: JsonObject, state: PairingState): Violation | null {
  const contents = objects(body['contents']);
  for (const [at, content] of contents.entries()) {
    const found = checkPairs(contents, at, content);
    if (found !== null) return found;
  }
  const start = contents.findLastIndex(
    (content) =>
      content['role'] !== 'model' && partsOf(content).some((part) => !isObject(part['functionResponse'])),
  );
  return state.needsThoughtSignatures ? checkSignatures(contents.slice(start + 1), state) : null;
}

/** Keeps the signatures of an answer, whole or the merged pieces of a stream. */
export function rememberGemini(answer: JsonObject, state: PairingState): void {
  for (const candidate of objects(answer['candidates'])) {
    for (const part of partsOf(isObject(candidate['content']) ? candidate['content'] : undefined)) {
      const signature = signatureOf(part);
      if (signature !== '') state.thoughtSignatures.set(signature, bearerOf(part));
    }
  }
}

function partsOf(content: JsonObject | undefined): readonly JsonObject[] {
  return objects(content?.['parts']);
}

function signatureOf(part: JsonObject): string {
  return text(part['thoughtSignature'] ?? part['thought_signature']);
}

function bearerOf(part: JsonObject): string {
  const call = part['functionCall'];
  return isObject(call) ? `call:${text(call['name'])}` : 'text';
}

function namesOf(content: JsonObject | undefined, key: 'functionCall' | 'functionResponse'): string[] {
  return partsOf(content)
    .map((part) => part[key])
    .filter(isObject)
    .map((call) => text(call['name']));
}

function checkPairs(contents: readonly JsonObject[], at: number, content: JsonObject): Violation | null {
  if (partsOf(content).length === 0)
    return violation(`* GenerateContentRequest.contents[${at}].parts: contents.parts must not be empty.`);
  const calls = namesOf(content, 'functionCall');
  const responses = namesOf(content, 'functionResponse');
  const before = contents[at - 1];
  if (calls.length > 0) {
    if (before === undefined || before['role'] === 'model')
      return violation(
        'Please ensure that function call turn comes immediately after a user turn or after a function response turn.',
      );
    if (namesOf(contents[at + 1], 'functionResponse').length !== calls.length)
      return violation(
        'Please ensure that the number of function response parts is equal to the number of function call parts of the function call turn.',
      );
  }
  if (responses.length === 0) return null;
  const asked = namesOf(before, 'functionCall');
  if (asked.length === 0)
    return violation(
      'Please ensure that function response turn comes immediately after a function call turn.',
    );
  // oxlint-disable-next-line unicorn/no-array-sort -- both are fresh
  if (asked.sort().join('\n') !== responses.sort().join('\n'))
    return violation(
      'Please ensure that the function responses name the functions of the function call turn.',
    );
  return null;
}

function checkSignatures(turn: readonly JsonObject[], state: PairingState): Violation | null {
  for (const content of turn) {
    const parts = partsOf(content);
    const first = parts.find((part) => isObject(part['functionCall']));
    if (first !== undefined && signatureOf(first) === '')
      return violation(
        `Function call is missing a thought_signature in functionCall parts. Function call \`${bearerOf(first).slice(5)}\``,
      );
    for (const part of parts) {
      const signature = signatureOf(part);
      if (signature === '' || PLACEHOLDERS.has(signature)) continue;
      const bearer = state.thoughtSignatures.get(signature);
      if (bearer === undefined) return violation('Corrupted thought signature.');
      if (bearer !== bearerOf(part)) return violation('Thought signature is not valid.');
    }
  }
  return null;
}
