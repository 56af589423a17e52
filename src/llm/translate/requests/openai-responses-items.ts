/** The items of a Responses request: messages, calls and their results, reasoning. */
import { asArray, asRecord, get, type JsonRecord } from '../../formats/findings.ts';
import type { TranslationProblem } from '../contract.ts';
import { textBlock, type Block, type ContentBlock, type Message, type ToolKind } from '../conversation.ts';
import type { Losses } from '../losses.ts';
import { openOpaque } from '../opaque.ts';
import { malformed, unsupported } from './context.ts';
import { sourceFromUrl, stringOrNull } from './values.ts';

/** Reads one item as a message of its own; one that cannot be said has no blocks. */
export function readItem(item: unknown, losses: Losses): Message | TranslationProblem {
  const found = asRecord(item);
  if (found === null) return malformed('an item of "input" must be an object');
  const type = stringOrNull(found['type']) ?? (found['role'] === undefined ? 'unknown' : 'message');
  switch (type) {
    case 'message':
      return readMessage(found, losses);
    case 'reasoning':
      return { role: 'assistant', blocks: readReasoning(found) };
    case 'function_call':
      return call(found, 'function', stringOrNull(found['arguments']) ?? '');
    case 'custom_tool_call':
      return call(found, 'custom', JSON.stringify({ input: stringOrNull(found['input']) ?? '' }));
    case 'local_shell_call':
      return call(found, 'local_shell', JSON.stringify(shellArguments(found['action'])));
    case 'tool_search_call':
      return call(found, 'tool_search', JSON.stringify(asRecord(found['arguments']) ?? {}));
    case 'function_call_output':
    case 'custom_tool_call_output':
    case 'local_shell_call_output':
      return result(found, readOutput(found['output'], losses));
    case 'tool_search_output':
      return result(found, [
        textBlock(JSON.stringify(asArray(found['tools']).map((tool) => get(tool, 'name')))),
      ]);
    case 'item_reference':
    case 'compaction':
    case 'compaction_trigger':
      return unsupported(
        `an item of type "${type}" in "input" means something to its own provider only: send the whole history`,
      );
    default:
      losses.add(`input.${type}`);
      return { role: 'user', blocks: [] };
  }
}

function readMessage(item: JsonRecord, losses: Losses): Message | TranslationProblem {
  const { role } = item;
  const blocks = readContent(item['content'], losses);
  if (role === 'user' || role === 'assistant' || role === 'system') return { role, blocks };
  if (role === 'developer') return { role: 'system', blocks };
  return malformed('a message must have the role "user", "assistant", "system" or "developer"');
}

/** Content of messages and of results. */
function readContent(content: unknown, losses: Losses): ContentBlock[] {
  if (typeof content === 'string') return content === '' ? [] : [textBlock(content)];
  return asArray(content).flatMap((part): ContentBlock[] => {
    const text = get(part, 'text') ?? get(part, 'refusal');
    const type = get(part, 'type');
    const url = get(part, 'image_url');
    const data = get(part, 'file_data') ?? get(part, 'file_url');
    if (typeof text === 'string') return [textBlock(text)];
    if (type === 'input_image' && typeof url === 'string')
      return [{ type: 'image', source: sourceFromUrl(url), cache: null }];
    if (type === 'input_file' && typeof data === 'string')
      return [
        {
          type: 'document',
          source: sourceFromUrl(data),
          name: stringOrNull(get(part, 'filename')),
          cache: null,
        },
      ];
    losses.add(`input.${typeof type === 'string' ? type : 'content'}`);
    return [];
  });
}

/** Sealed by us for the provider that thought it; another's encrypted reasoning is nobody's here. */
function readReasoning(item: JsonRecord): Block[] {
  const parts = [...asArray(item['summary']), ...asArray(item['content'])];
  const text = parts.map((part) => stringOrNull(get(part, 'text')) ?? '').join('\n\n');
  return [{ type: 'thinking', text, opaque: openOpaque(item['encrypted_content']) }];
}

function call(item: JsonRecord, kind: ToolKind, argumentsText: string): Message {
  const name = kind === 'local_shell' || kind === 'tool_search' ? kind : (stringOrNull(item['name']) ?? '');
  const tool = { kind, namespace: stringOrNull(item['namespace']), name };
  return {
    role: 'assistant',
    blocks: [{ type: 'call', id: callId(item), tool, argumentsText, cache: null }],
  };
}

function callId(item: JsonRecord): string {
  return stringOrNull(item['call_id']) ?? stringOrNull(item['id']) ?? '';
}

/** The members of the action that the tool's schema has. */
function shellArguments(action: unknown): JsonRecord {
  const { type: _type, ...values } = asRecord(action) ?? {};
  return values;
}

function result(item: JsonRecord, content: readonly ContentBlock[]): Message {
  return {
    role: 'user',
    blocks: [{ type: 'result', callId: callId(item), content, isError: false, cache: null }],
  };
}

function readOutput(output: unknown, losses: Losses): ContentBlock[] {
  const record = asRecord(output);
  if (record !== null) return [textBlock(stringOrNull(record['content']) ?? JSON.stringify(record))];
  return readContent(output, losses);
}
