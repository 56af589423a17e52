/**
 * Items of an OpenAI response that ask the caller to run something, and the message that stands in
 * place of a refused one. Source: OpenAI API reference, "Responses" (output items).
 *
 * Items that the provider runs by itself (web search, code interpreter, remote MCP, a shell in the
 * provider's container) are no calls here: they have run already, and the request's list of tools
 * governs them.
 */
import type { ToolCall } from './editor.ts';
import { asArray, asRecord, asText, get, parseArguments, type JsonRecord } from './streams/event-json.ts';

/** Where an item of a type keeps what the model asks for. */
interface CallShape {
  /** The tool's name where the item has none of its own. */
  readonly tool: string | null;
  /** The member with the arguments. */
  readonly member: string;
  /** JSON text in a string, free text, or a JSON value. */
  readonly kind: 'json_text' | 'text' | 'value';
  /** Events that bring the arguments piece by piece begin so. */
  readonly events: string | null;
}

const SHAPES: Readonly<Record<string, CallShape>> = {
  function_call: shape(null, 'arguments', 'json_text', 'response.function_call_arguments.'),
  custom_tool_call: shape(null, 'input', 'text', 'response.custom_tool_call_input.'),
  mcp_approval_request: shape(null, 'arguments', 'json_text', null),
  local_shell_call: shape('local_shell', 'action', 'value', null),
  shell_call: shape('shell', 'action', 'value', 'response.shell_call_command.'),
  apply_patch_call: shape('apply_patch', 'operation', 'value', 'response.apply_patch_call_operation_diff.'),
  computer_call: shape('computer', 'action', 'value', null),
  tool_search_call: shape('tool_search', 'arguments', 'value', null),
};

function shape(
  tool: string | null,
  member: string,
  kind: CallShape['kind'],
  events: string | null,
): CallShape {
  return { tool, member, kind, events };
}

/** Calls without an entry in `SHAPES`: what the caller runs has a `call_id`. */
const CALL_TYPE = /^([a-z0-9_]{1,64})_call$/;
/** Calls of the provider's own that have a `call_id` nevertheless are told apart by these types. */
const PROVIDER_CALLS: ReadonlySet<string> = new Set([
  'mcp_call',
  'web_search_call',
  'file_search_call',
  'code_interpreter_call',
  'image_generation_call',
]);

/** Items that name tools and ask for nothing, beside those that end in `_output`. */
const TELLING_ITEMS: ReadonlySet<string> = new Set([
  ...PROVIDER_CALLS,
  'message',
  'reasoning',
  'program',
  'compaction',
  'mcp_list_tools',
  'mcp_approval_response',
  'additional_tools',
  'shell_call',
  'tool_search_call',
]);

/** Whether an item that is no call is of a kind that is known. Of others nobody can tell what a reader makes of them. */
export function isKnownItem(item: JsonRecord): boolean {
  const type = asText(item['type']) ?? '';
  return TELLING_ITEMS.has(type) || type.endsWith('_output');
}

/** Members that are about the item and not about what it asks for. */
const ENVELOPE: ReadonlySet<string> = new Set([
  'id',
  'type',
  'status',
  'call_id',
  'caller',
  'created_by',
  'agent',
]);

/** `unreadable`: it is a call, or could be one, and nobody can tell what it asks for. */
export type ItemReading = ToolCall | null | 'unreadable';

/** The call that an item is; null for one that asks nothing of the caller. */
export function readCallItem(item: JsonRecord): ItemReading {
  const type = asText(item['type']);
  if (type === null) return 'unreadable';
  const known = Object.hasOwn(SHAPES, type) ? SHAPES[type] : undefined;
  if (known === undefined) return readOtherItem(item, type);
  if (isRunByProvider(item, type)) return null;
  const name = known.tool ?? asText(item['name']);
  if (name === null || name === '') return 'unreadable';
  const argumentsText = argumentsOf(item, type, known);
  return argumentsText === null ? 'unreadable' : toolCall(item, name, argumentsText, known.kind !== 'text');
}

function readOtherItem(item: JsonRecord, type: string): ItemReading {
  if (PROVIDER_CALLS.has(type)) return null;
  const tool = CALL_TYPE.exec(type)?.[1];
  if (tool === undefined || asText(item['call_id']) === null) return null;
  return toolCall(item, asText(item['name']) ?? tool, JSON.stringify(withoutEnvelope(item)), true);
}

function withoutEnvelope(item: JsonRecord): JsonRecord {
  return Object.fromEntries(Object.entries(item).filter(([key]) => !ENVELOPE.has(key)));
}

function toolCall(item: JsonRecord, name: string, argumentsText: string, isJson: boolean): ToolCall {
  return {
    id: asText(item['call_id']) ?? asText(item['id']),
    name,
    argumentsText,
    arguments: isJson ? parseArguments(argumentsText) : undefined,
  };
}

function isRunByProvider(item: JsonRecord, type: string): boolean {
  if (type === 'shell_call') return get(item['environment'], 'type') === 'container_reference';
  return type === 'tool_search_call' && item['execution'] === 'server';
}

function argumentsOf(item: JsonRecord, type: string, { member, kind }: CallShape): string | null {
  const value = item[member];
  if (kind !== 'value') return value === undefined || value === null ? '' : asText(value);
  // Newer models ask for several actions at once, in `actions`.
  if (type === 'computer_call' && item['actions'] !== undefined)
    return JSON.stringify({ ...(value === undefined ? {} : { action: value }), actions: item['actions'] });
  return value === undefined ? '{}' : JSON.stringify(value);
}

/** The arguments in the pieces in which the stream brought them; null where a type's arguments come whole. */
export function streamedParts(item: JsonRecord): readonly string[] | null {
  switch (item['type']) {
    case 'function_call':
      return [asText(item['arguments']) ?? ''];
    case 'custom_tool_call':
      return [asText(item['input']) ?? ''];
    case 'apply_patch_call':
      return [asText(get(item['operation'], 'diff')) ?? ''];
    case 'shell_call':
      return asArray(get(item['action'], 'commands')).map((command) => asText(command) ?? '');
    default:
      return null;
  }
}

/** How the events begin that bring an item's arguments; null where there are none. */
export function argumentEvents(item: JsonRecord): string | null {
  const type = asText(item['type']) ?? '';
  return Object.hasOwn(SHAPES, type) ? (SHAPES[type]?.events ?? null) : null;
}

/** Whether an event brings arguments of some call. */
export function isArgumentEvent(type: string): boolean {
  return Object.values(SHAPES).some(({ events }) => events !== null && type.startsWith(events));
}

/** The item with other arguments. Throws where they do not fit: a value that is no JSON. */
export function rewrittenItem(item: JsonRecord, argumentsText: string): JsonRecord {
  const type = asText(item['type']) ?? '';
  const known = Object.hasOwn(SHAPES, type) ? SHAPES[type] : undefined;
  if (known !== undefined && known.kind !== 'value') return { ...item, [known.member]: argumentsText };
  const value: unknown = JSON.parse(argumentsText);
  if (known !== undefined && get(value, 'actions') === undefined) return { ...item, [known.member]: value };
  const members = asRecord(value);
  if (members === null) throw new Error(`the arguments of a ${type} must be an object`);
  return { ...item, ...withoutEnvelope(members) };
}

const MARKER_PREFIX = 'msg_pst_';

/** The id of the message in place of a refused call: made from the call's own, so that a later turn can tell. */
export function markerId(item: JsonRecord): string {
  return `${MARKER_PREFIX}${asText(item['id']) ?? asText(item['call_id']) ?? 'call'}`;
}

/** Whether an id is one of `markerId`. */
export function isMarkerId(id: string): boolean {
  return id.startsWith(MARKER_PREFIX);
}

/** The message in place of a refused call. */
export function refusalItem(item: JsonRecord, text: string): JsonRecord {
  return {
    id: markerId(item),
    type: 'message',
    status: 'completed',
    role: 'assistant',
    content: [refusalPart(text)],
  };
}

export function refusalPart(text: string): JsonRecord {
  return { type: 'output_text', text, annotations: [], logprobs: [] };
}
