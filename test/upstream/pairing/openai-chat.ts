/**
 * OpenAI Chat Completions. Sources: API reference (assistant and tool messages), "Function calling",
 * and the 400 texts seen in public reports. No state: the caller sends the whole history.
 */
import { isObject, type JsonObject } from '../json.ts';
import { objects, text, violation, type Violation } from './state.ts';

export function checkOpenaiChat(body: JsonObject): Violation | null {
  const messages = objects(body['messages']);
  for (const [at, message] of messages.entries()) {
    const found = message['role'] === 'assistant' ? checkAssistant(messages, at) : checkTool(messages, at);
    if (found !== null) return found;
  }
  return null;
}

function checkAssistant(messages: readonly JsonObject[], at: number): Violation | null {
  const message = messages[at] ?? {};
  const calls = message['tool_calls'];
  if (Array.isArray(calls) && calls.length === 0)
    return violation(
      `Invalid 'messages[${at}].tool_calls': empty array. Expected an array with minimum length 1.`,
    );
  const hasContent = typeof message['content'] === 'string' || objects(message['content']).length > 0;
  const speaks = typeof message['refusal'] === 'string' || isObject(message['audio']);
  if (!hasContent && !speaks && calls === undefined && !isObject(message['function_call']))
    return violation(`Invalid value for 'content': expected a string, got null. (messages.[${at}].content)`);
  const ids = objects(calls).map((call) => text(call['id']));
  if (new Set(ids).size !== ids.length || ids.includes(''))
    return violation(`Invalid 'messages[${at}].tool_calls': each call needs an id of its own`);
  const answered = new Set(answersAfter(messages, at).map((answer) => text(answer['tool_call_id'])));
  const open = ids.filter((id) => !answered.has(id));
  if (open.length === 0) return null;
  return violation(
    `An assistant message with 'tool_calls' must be followed by tool messages responding to each 'tool_call_id'. The following tool_call_ids did not have response messages: ${open.join(', ')}`,
  );
}

/** The tool messages directly after the assistant's message at `at`. */
function answersAfter(messages: readonly JsonObject[], at: number): readonly JsonObject[] {
  const rest = messages.slice(at + 1);
  const end = rest.findIndex((message) => message['role'] !== 'tool');
  return end < 0 ? rest : rest.slice(0, end);
}

function checkTool(messages: readonly JsonObject[], at: number): Violation | null {
  const message = messages[at] ?? {};
  if (message['role'] !== 'tool') return null;
  const asker = messages.slice(0, at).findLast((before) => before['role'] !== 'tool');
  const asked = objects(asker?.['tool_calls']).some((call) => call['id'] === message['tool_call_id']);
  if (asker?.['role'] === 'assistant' && asked) return null;
  return violation(
    `Invalid parameter: messages with role 'tool' must be a response to a preceeding message with 'tool_calls'. (messages.[${at}].role)`,
  );
}
