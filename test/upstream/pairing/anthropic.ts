/**
 * Anthropic Messages. Sources: "Handle tool calls" (results directly after the calls, first in their
 * message), "Extended thinking" (blocks of the latest assistant message come back unchanged, a turn
 * that goes on after a tool call begins with thinking), and the 400 texts seen in public reports.
 */
import { isObject, type JsonObject } from '../json.ts';
import { objects, text, violation, type PairingState, type Violation } from './state.ts';

export function checkAnthropic(body: JsonObject, state: PairingState): Violation | null {
  const messages = objects(body['messages']);
  if (messages[0]?.['role'] !== 'user') return violation('messages: first message must use the "user" role');
  const seen = new Set<string>();
  for (const [at, message] of messages.entries()) {
    const found =
      checkBlocks(at, message) ??
      checkResults(at, message, messages[at - 1]) ??
      checkUses(at, message, messages[at + 1], seen);
    if (found !== null) return found;
  }
  return checkThinking(messages, body, state);
}

/** Keeps the thinking of an answer under its signatures. */
export function rememberAnthropic(answer: JsonObject, state: PairingState): void {
  for (const block of objects(answer['content'])) {
    if (block['type'] === 'thinking') state.thinking.set(text(block['signature']), text(block['thinking']));
    if (block['type'] === 'redacted_thinking') state.thinking.set(text(block['data']), '');
  }
}

function blocks(message: JsonObject | undefined): readonly JsonObject[] {
  const content = message?.['content'];
  if (typeof content === 'string') return [{ type: 'text', text: content }];
  return objects(content);
}

function checkBlocks(at: number, message: JsonObject): Violation | null {
  const found = blocks(message);
  if (found.length === 0) return violation(`messages.${at}: all messages must have non-empty content`);
  if (found.some((block) => block['type'] === 'text' && text(block['text']).trim() === ''))
    return violation(`messages.${at}: text content blocks must contain non-whitespace text`);
  return null;
}

function idsOf(message: JsonObject | undefined, type: string, key: string): string[] {
  return blocks(message)
    .filter((block) => block['type'] === type)
    .map((block) => text(block[key]));
}

function checkUses(
  at: number,
  message: JsonObject,
  next: JsonObject | undefined,
  seen: Set<string>,
): Violation | null {
  const ids = idsOf(message, 'tool_use', 'id');
  for (const id of ids) {
    if (seen.has(id)) return violation(`messages.${at}: \`tool_use\` ids must be unique`);
    seen.add(id);
  }
  const answered = new Set(idsOf(next, 'tool_result', 'tool_use_id'));
  const open = ids.filter((id) => !answered.has(id));
  if (open.length === 0) return null;
  return violation(
    `messages.${at}: \`tool_use\` ids were found without \`tool_result\` blocks immediately after: ${open.join(', ')}`,
  );
}

function checkResults(at: number, message: JsonObject, before: JsonObject | undefined): Violation | null {
  const asked = new Set(idsOf(before, 'tool_use', 'id'));
  const results = idsOf(message, 'tool_result', 'tool_use_id');
  const stray = results.find((id) => !asked.has(id));
  if (stray !== undefined)
    return violation(
      `messages.${at}: unexpected \`tool_use_id\` found in \`tool_result\` blocks: ${stray}. Each \`tool_result\` block must have a corresponding \`tool_use\` block in the previous message.`,
    );
  if (new Set(results).size !== results.length)
    return violation(`messages.${at}: each tool_use must have a single result`);
  const types = blocks(message).map((block) => block['type']);
  if (types.slice(0, results.length).some((type) => type !== 'tool_result'))
    return violation(`messages.${at}: \`tool_result\` blocks must come first in the content`);
  return null;
}

function checkThinking(
  messages: readonly JsonObject[],
  body: JsonObject,
  state: PairingState,
): Violation | null {
  const at = messages.findLastIndex((message) => message['role'] === 'assistant');
  const latest = blocks(messages[at]);
  for (const block of latest) {
    const redacted = block['type'] === 'redacted_thinking';
    if (!redacted && block['type'] !== 'thinking') continue;
    const issued = state.thinking.get(text(redacted ? block['data'] : block['signature']));
    if (issued === undefined) return violation(`messages.${at}: Invalid \`signature\` in \`thinking\` block`);
    if (issued !== text(block['thinking']))
      return violation(
        `messages.${at}: \`thinking\` or \`redacted_thinking\` blocks in the latest assistant message cannot be modified`,
      );
  }
  const mode = isObject(body['thinking']) ? body['thinking']['type'] : 'disabled';
  const goesOn = latest.some((block) => block['type'] === 'tool_use');
  if (mode === 'enabled' && goesOn && !text(latest[0]?.['type']).endsWith('thinking'))
    return violation(`messages.${at}.content.0.type: Expected \`thinking\` or \`redacted_thinking\``);
  return null;
}
