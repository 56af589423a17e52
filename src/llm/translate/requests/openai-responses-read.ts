/**
 * Reads requests of Responses (API reference, "Create a model response"), as Codex and the SDK send
 * them. Only those that bring their whole history: what the provider keeps is out of reach.
 */
import { asArray, asRecord, get, type JsonRecord } from '../../formats/findings.ts';
import type { TranslationProblem } from '../contract.ts';
import {
  joinMessages,
  textBlock,
  type AnswerFormat,
  type Conversation,
  type Message,
  type Reasoning,
} from '../conversation.ts';
import { asEffort } from '../models.ts';
import { malformed, unsupported, type ReadContext } from './context.ts';
import { readItem } from './openai-responses-items.ts';
import { readResponsesTools } from './openai-responses-tools.ts';
import { booleanOrNull, countOrNull, numberOrNull, stringOrNull } from './values.ts';

const KNOWN = new Set([
  'model',
  'input',
  'instructions',
  'max_output_tokens',
  'temperature',
  'top_p',
  'tools',
  'tool_choice',
  'parallel_tool_calls',
  'reasoning',
  'text',
  'user',
  'safety_identifier',
  'prompt_cache_key',
  'stream',
  'stream_options',
  'include',
  'client_metadata',
]);
const HARMLESS: Readonly<Record<string, unknown>> = {
  store: false,
  background: false,
  truncation: 'disabled',
  service_tier: 'auto',
};
/** Members that name what the provider keeps. */
const STORED = ['previous_response_id', 'conversation', 'prompt'] as const;
/** Additions to the answer that ask for nothing, or for what is given anyway. */
const INCLUDED = new Set<unknown>(['reasoning.encrypted_content']);

export function readResponsesRequest(
  body: JsonRecord,
  { losses, stream }: ReadContext,
): Conversation | TranslationProblem {
  for (const key of STORED) {
    if (body[key] !== undefined && body[key] !== null)
      return unsupported(
        `"${key}" refers to what another provider keeps, and this model's provider has another format: send the whole history in "input"`,
      );
  }
  if (body['background'] === true)
    return unsupported('"background" is not possible here: this model\'s provider has another format');
  const harmless = Object.keys(HARMLESS).filter((key) => body[key] === HARMLESS[key]);
  losses.addUnknown(body, new Set([...KNOWN, ...harmless]));
  if (asArray(body['include']).some((name) => !INCLUDED.has(name))) losses.add('include');
  const history = readInput(body['input'], losses);
  if ('problem' in history) return history;
  const { tools, choice } = readResponsesTools(body, losses);
  const instructions = stringOrNull(body['instructions']);
  return {
    system: [
      ...(instructions === null || instructions === '' ? [] : [textBlock(instructions)]),
      ...history.system,
    ],
    messages: joinMessages(history.messages),
    tools,
    toolChoice: choice,
    parallelCalls: booleanOrNull(body['parallel_tool_calls']),
    maxOutputTokens: countOrNull(body['max_output_tokens']),
    sampling: {
      temperature: numberOrNull(body['temperature']),
      topP: numberOrNull(body['top_p']),
      topK: null,
      seed: null,
      presencePenalty: null,
      frequencyPenalty: null,
    },
    stop: [],
    reasoning: readReasoning(body['reasoning']),
    format: readFormat(get(body['text'], 'format')),
    verbosity: stringOrNull(get(body['text'], 'verbosity')),
    endUser: stringOrNull(body['safety_identifier']) ?? stringOrNull(body['user']),
    cacheKey: stringOrNull(body['prompt_cache_key']),
    stream,
    includeUsage: true,
  };
}

interface History {
  readonly system: Conversation['system'];
  readonly messages: readonly Message[];
}

function readInput(input: unknown, losses: ReadContext['losses']): History | TranslationProblem {
  if (typeof input === 'string')
    return { system: [], messages: [{ role: 'user', blocks: [textBlock(input)] }] };
  if (!Array.isArray(input)) return malformed('"input" must be a text or a list of items');
  const messages: Message[] = [];
  for (const item of asArray(input)) {
    const read = readItem(item, losses);
    if ('problem' in read) return read;
    messages.push(read);
  }
  const first = messages.findIndex(({ role, blocks }) => role !== 'system' && blocks.length > 0);
  const start = first < 0 ? messages.length : first;
  return {
    system: messages.slice(0, start).flatMap(({ blocks }) => blocks.filter((block) => block.type === 'text')),
    messages: messages.slice(start),
  };
}

function readReasoning(reasoning: unknown): Reasoning | null {
  const found = asRecord(reasoning);
  if (found === null) return null;
  const effort = asEffort(found['effort']);
  const summary = found['summary'] ?? found['generate_summary'];
  const visible = typeof summary === 'string' && summary !== 'none';
  return effort === null && !visible ? null : { effort, budgetTokens: null, visible };
}

function readFormat(format: unknown): AnswerFormat | null {
  const found = asRecord(format);
  if (found?.['type'] === 'json_object') return { name: null, description: null, schema: null, strict: null };
  if (found?.['type'] !== 'json_schema') return null;
  return {
    name: stringOrNull(found['name']),
    description: stringOrNull(found['description']),
    schema: asRecord(found['schema']) ?? {},
    strict: booleanOrNull(found['strict']),
  };
}
