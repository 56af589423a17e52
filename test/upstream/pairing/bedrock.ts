/**
 * Bedrock Converse: Anthropic's rules in other words. Sources: Amazon Bedrock API reference (ContentBlock,
 * ToolUseBlock, ToolResultBlock, ReasoningContentBlock), "Use a tool to complete a model response", and the
 * validation messages seen in public reports.
 */
import { isObject, type JsonObject } from '../json.ts';
import { objects, text, violation, type PairingState, type Violation } from './state.ts';

/** ToolUseBlock, `toolUseId`. */
const TOOL_USE_ID = /^[a-zA-Z0-9_.:-]{1,64}$/;

export function checkBedrock(body: JsonObject, state: PairingState): Violation | null {
  const messages = objects(body['messages']);
  if (messages[0]?.['role'] !== 'user')
    return violation(
      'A conversation must start with a user message. Try again with a conversation that does.',
    );
  for (const [at, message] of messages.entries()) {
    if (at > 0 && message['role'] === messages[at - 1]?.['role'])
      return violation('A conversation must alternate between user and assistant roles.');
    const found = checkContent(at, message) ?? checkPairs(at, message, messages[at + 1], messages[at - 1]);
    if (found !== null) return found;
  }
  const usesTools = messages.some((message) =>
    objects(message['content']).some((block) => isObject(block['toolUse']) || isObject(block['toolResult'])),
  );
  if (usesTools && !isObject(body['toolConfig']))
    return violation(
      'The toolConfig field must be defined when using toolUse and toolResult content blocks.',
    );
  return checkReasoning(messages, state);
}

/** Keeps the reasoning of an answer under its signatures. */
export function rememberBedrock(answer: JsonObject, state: PairingState): void {
  const output = isObject(answer['output']) ? answer['output'] : {};
  for (const reasoning of reasoningOf(isObject(output['message']) ? output['message'] : undefined))
    state.thinking.set(text(reasoning['signature']), text(reasoning['text']));
}

function reasoningOf(message: JsonObject | undefined): JsonObject[] {
  return objects(message?.['content'])
    .map((block) => (isObject(block['reasoningContent']) ? block['reasoningContent']['reasoningText'] : null))
    .filter(isObject);
}

function idsOf(message: JsonObject | undefined, key: 'toolUse' | 'toolResult'): string[] {
  return objects(message?.['content'])
    .map((block) => block[key])
    .filter(isObject)
    .map((block) => text(block['toolUseId']));
}

function checkContent(at: number, message: JsonObject): Violation | null {
  const content = objects(message['content']);
  if (content.length === 0)
    return violation(`The content field in the Message object at messages.${at} is empty.`);
  const blank = content.findIndex(
    (block) => typeof block['text'] === 'string' && block['text'].trim() === '',
  );
  if (blank >= 0)
    return violation(
      `The text field in the ContentBlock object at messages.${at}.content.${blank} is blank.`,
    );
  return null;
}

function checkPairs(
  at: number,
  message: JsonObject,
  next: JsonObject | undefined,
  before: JsonObject | undefined,
): Violation | null {
  const uses = idsOf(message, 'toolUse');
  if (new Set(uses).size !== uses.length || !uses.every((id) => TOOL_USE_ID.test(id)))
    return violation(`messages.${at}: the toolUse blocks contain duplicate or malformed Ids`);
  const answered = new Set(idsOf(next, 'toolResult'));
  const open = uses.filter((id) => !answered.has(id));
  if (open.length > 0)
    return violation(
      `Expected toolResult blocks at messages.${at + 1}.content for the following Ids: ${open.join(', ')}`,
    );
  const results = idsOf(message, 'toolResult');
  const asked = new Set(idsOf(before, 'toolUse'));
  if (results.length > asked.size || results.some((id) => !asked.has(id)))
    return violation(
      `The number of toolResult blocks at messages.${at}.content exceeds the number of toolUse blocks of previous turn.`,
    );
  return null;
}

function checkReasoning(messages: readonly JsonObject[], state: PairingState): Violation | null {
  const latest = messages.findLast((message) => message['role'] === 'assistant');
  for (const reasoning of reasoningOf(latest)) {
    if (state.thinking.get(text(reasoning['signature'])) !== text(reasoning['text']))
      return violation(
        'thinking or redacted_thinking blocks in the latest assistant message cannot be modified',
      );
  }
  return null;
}
