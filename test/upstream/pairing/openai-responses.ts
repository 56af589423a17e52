/**
 * OpenAI Responses. Sources: API reference (input items, `previous_response_id`, `conversation`,
 * item references), "Conversation state", "Reasoning models" (keep reasoning items with the items
 * that follow them), and the 400 texts seen in public reports. Where the provider's behaviour is not
 * public the fake is the stricter one.
 */
import { isObject, type JsonObject } from '../json.ts';
import { objects, text, violation, type PairingState, type Violation } from './state.ts';

/** Calls that the caller runs, and the items that may answer them. */
const OUTPUTS: Readonly<Record<string, readonly string[]>> = {
  function_call: ['function_call_output'],
  custom_tool_call: ['custom_tool_call_output'],
  local_shell_call: ['local_shell_call_output', 'function_call_output'],
  shell_call: ['shell_call_output'],
  apply_patch_call: ['apply_patch_call_output'],
  computer_call: ['computer_call_output'],
};
const OUTPUT_TYPES: ReadonlySet<string> = new Set(Object.values(OUTPUTS).flat());

/** How the id of an item of a type begins. */
const ID_PREFIX: Readonly<Record<string, string>> = {
  message: 'msg',
  function_call: 'fc',
  reasoning: 'rs',
  custom_tool_call: 'ctc',
};

export function checkOpenaiResponses(body: JsonObject, state: PairingState): Violation | null {
  const history = openaiHistory(body, state);
  if (!Array.isArray(history)) return history;
  return checkIds(history) ?? checkCalls(history) ?? checkReasoning(history, state);
}

/** Keeps what an answer leaves at the provider. `body` is the request that it answers. */
export function rememberOpenaiResponses(body: JsonObject, answer: JsonObject, state: PairingState): void {
  const output = objects(answer['output']);
  let reasoning: string | null = null;
  let reasoningId: string | null = null;
  let isFollower = false;
  for (const item of output) {
    const id = text(item['id']);
    if (id !== '')
      state.issued.set(id, { item, reasoning: item['type'] === 'reasoning' ? null : reasoningId });
    if (item['type'] === 'reasoning') {
      reasoning = reasoningKey(item);
      reasoningId = text(item['id']);
      isFollower = true;
    } else if (isFollower && reasoning !== null) {
      state.followers.set(reasoning, itemKey(item));
      isFollower = false;
    }
  }
  const history = openaiHistory(body, state);
  const whole = [...(Array.isArray(history) ? history : []), ...output];
  const conversation = conversationOf(body);
  if (conversation !== null) state.conversations.set(conversation, whole);
  if (body['store'] === false) return;
  state.responses.set(text(answer['id']), whole);
  for (const item of output) state.stored.add(text(item['id']));
}

/** All that the model sees: what the provider keeps, then the input, references resolved. */
function openaiHistory(body: JsonObject, state: PairingState): JsonObject[] | Violation {
  const previous = body['previous_response_id'];
  const conversation = conversationOf(body);
  let kept: readonly JsonObject[] = [];
  if (typeof previous === 'string') {
    const found = state.responses.get(previous);
    if (found === undefined) return violation(`Previous response with id '${previous}' not found.`);
    kept = found;
  } else if (conversation !== null) {
    kept = state.conversations.get(conversation) ?? [];
  }
  const input = body['input'];
  const items: JsonObject[] = [...kept];
  if (typeof input === 'string') return [...items, { role: 'user', content: input }];
  for (const item of objects(input)) {
    if (item['type'] !== 'item_reference') {
      items.push(item);
      continue;
    }
    const id = text(item['id']);
    const referred = state.stored.has(id) ? state.issued.get(id)?.item : undefined;
    if (referred === undefined) return violation(`Item with id '${id}' not found.`);
    items.push(referred);
  }
  return items;
}

function conversationOf(body: JsonObject): string | null {
  const { conversation } = body;
  if (typeof conversation === 'string') return conversation;
  return isObject(conversation) && typeof conversation['id'] === 'string' ? conversation['id'] : null;
}

function checkIds(items: readonly JsonObject[]): Violation | null {
  const seen = new Set<string>();
  for (const [at, item] of items.entries()) {
    const id = text(item['id']);
    if (id === '') continue;
    const prefix = ID_PREFIX[text(item['type'])];
    if (prefix !== undefined && !id.startsWith(prefix))
      return violation(`Invalid 'input[${at}].id': '${id}'. Expected an ID that begins with '${prefix}'.`);
    if (seen.has(id))
      return violation(`Duplicate item found with id ${id}. Remove duplicate items from your input.`);
    seen.add(id);
  }
  return null;
}

function callIdOf(item: JsonObject): string {
  return text(item['call_id'] ?? item['id']);
}

function checkCalls(items: readonly JsonObject[]): Violation | null {
  const open = new Map<string, readonly string[]>();
  const answered = new Set<string>();
  for (const item of items) {
    const type = text(item['type']);
    const outputs = OUTPUTS[type];
    const id = callIdOf(item);
    if (outputs !== undefined) {
      open.set(id, outputs);
    } else if (OUTPUT_TYPES.has(type)) {
      if (answered.has(id)) return violation(`Duplicate tool output found for call_id ${id}.`);
      if (open.get(id)?.includes(type) !== true)
        return violation(`No tool call found for function call output with call_id ${id}.`);
      open.delete(id);
      answered.add(id);
    }
  }
  const [first] = open.keys();
  return first === undefined ? null : violation(`No tool output found for function call ${first}.`);
}

function checkReasoning(items: readonly JsonObject[], state: PairingState): Violation | null {
  let reasoning: string | null = null;
  for (const [at, item] of items.entries()) {
    const id = text(item['id']);
    if (item['type'] === 'reasoning') {
      reasoning = id;
      const follower = state.followers.get(reasoningKey(item));
      const next = items[at + 1];
      if (next === undefined || (follower !== undefined && itemKey(next) !== follower))
        return violation(
          `Item '${id}' of type 'reasoning' was provided without its required following item.`,
        );
      continue;
    }
    const needed = state.issued.get(id)?.reasoning ?? null;
    if (needed !== null && needed !== reasoning)
      return violation(
        `Item '${id}' of type '${text(item['type'])}' was provided without its required 'reasoning' item: '${needed}'.`,
      );
  }
  return null;
}

/** Reasoning comes back by its id, or, from callers that keep no ids, by its encrypted content. */
function reasoningKey(item: JsonObject): string {
  return text(item['encrypted_content']) || text(item['id']);
}

/** What an item is known by when it comes back, with or without its id. */
function itemKey(item: JsonObject): string {
  const type = text(item['type']) || 'message';
  if (OUTPUTS[type] !== undefined) return `${type}:${callIdOf(item)}`;
  const content = objects(item['content']).map((part) => text(part['text']));
  return type === 'message' ? `message:${content.join('')}` : `${type}:${text(item['id'])}`;
}
