/** One model turn in OpenAI's formats, and the official SDK reading it back. */
import OpenAI from 'openai';
import type { Format } from '../surface.ts';
import { encodeSseEvent } from '../../wire/sse.ts';

export type CallKind =
  | 'function'
  | 'custom'
  | 'local_shell'
  | 'shell'
  | 'apply_patch'
  | 'computer'
  | 'mcp_approval';

export type Block =
  | { readonly text: string }
  | { readonly call: string; readonly id: string; readonly args: string; readonly kind: CallKind };

export interface Turn {
  readonly blocks: readonly Block[];
  /** Of Chat Completions; '' for Responses, which have none. */
  readonly stop: string;
}

export interface Cell {
  readonly name: string;
  readonly format: Format;
  readonly contentType: string;
  readonly streamed: boolean;
  write(turn: Turn): Buffer;
  read(bytes: Buffer): Promise<Turn>;
}

export const SSE = 'text/event-stream; charset=utf-8';
export const JSON_TYPE = 'application/json';

/** The SDK, answered with these bytes. */
export function client(bytes: Buffer, contentType: string): OpenAI {
  return new OpenAI({
    apiKey: 'none',
    maxRetries: 0,
    fetch: async () => new Response(new Uint8Array(bytes), { headers: { 'content-type': contentType } }),
  });
}

export const CHAT_STREAMED: Cell = {
  name: 'Chat Completions, streamed',
  format: 'openai_chat',
  contentType: SSE,
  streamed: true,
  write: chatStream,
  async read(bytes) {
    const stream = client(bytes, SSE).chat.completions.stream({ model: 'm', messages: [] });
    return fromCompletion(await stream.finalChatCompletion());
  },
};

export const CHAT_WHOLE: Cell = {
  name: 'Chat Completions, whole',
  format: 'openai_chat',
  contentType: JSON_TYPE,
  streamed: false,
  write: (turn) => Buffer.from(JSON.stringify(completion(turn), null, 1)),
  async read(bytes) {
    return fromCompletion(
      await client(bytes, JSON_TYPE).chat.completions.create({ model: 'm', messages: [] }),
    );
  },
};

export const RESPONSES_STREAMED: Cell = {
  name: 'Responses, streamed',
  format: 'openai_responses',
  contentType: SSE,
  streamed: true,
  write: responsesStream,
  async read(bytes) {
    const stream = client(bytes, SSE).responses.stream({ model: 'm', input: 'q' });
    return fromResponse(await stream.finalResponse());
  },
};

export const RESPONSES_WHOLE: Cell = {
  name: 'Responses, whole',
  format: 'openai_responses',
  contentType: JSON_TYPE,
  streamed: false,
  write: (turn) => Buffer.from(JSON.stringify(response(turn, 'completed'), null, 1)),
  async read(bytes) {
    return fromResponse(await client(bytes, JSON_TYPE).responses.create({ model: 'm', input: 'q' }));
  },
};

export const CELLS: readonly Cell[] = [CHAT_STREAMED, CHAT_WHOLE, RESPONSES_STREAMED, RESPONSES_WHOLE];

// Chat Completions.

export function chunk(choices: readonly object[], more: object = {}): string {
  return JSON.stringify({
    id: 'chatcmpl-1',
    object: 'chat.completion.chunk',
    created: 1,
    model: 'm',
    choices,
    ...more,
  });
}

export function delta(value: object, finish_reason: string | null = null, index = 0): object {
  return { index, delta: value, logprobs: null, finish_reason };
}

export function sse(events: readonly string[]): Buffer {
  return Buffer.concat(events.map((data) => encodeSseEvent({ data })));
}

function chatStream({ blocks, stop }: Turn): Buffer {
  const events = [chunk([delta({ role: 'assistant', content: '' })])];
  let index = 0;
  for (const block of blocks) {
    if ('text' in block) {
      for (const piece of thirds(block.text)) events.push(chunk([delta({ content: piece })]));
      continue;
    }
    const [open, ...rest] = pieces(block, index);
    events.push(
      chunk([delta({ tool_calls: [open] })]),
      ...rest.map((piece) => chunk([delta({ tool_calls: [piece] })])),
    );
    index += 1;
  }
  events.push(
    chunk([delta({}, stop)]),
    chunk([], { usage: { prompt_tokens: 1, completion_tokens: 2, total_tokens: 3 } }),
  );
  return sse([...events, '[DONE]']);
}

function pieces(block: Extract<Block, { call: string }>, index: number): object[] {
  const member = block.kind === 'custom' ? 'custom' : 'function';
  const key = block.kind === 'custom' ? 'input' : 'arguments';
  return [
    { index, id: block.id, type: member, [member]: { name: block.call, [key]: '' } },
    ...thirds(block.args).map((piece) => ({ index, [member]: { [key]: piece } })),
  ];
}

function completion({ blocks, stop }: Turn): object {
  const text = blocks.flatMap((block) => ('text' in block ? [block.text] : [])).join('');
  const calls = blocks.flatMap((block): object[] => {
    if (!('call' in block)) return [];
    return block.kind === 'custom'
      ? [{ id: block.id, type: 'custom', custom: { name: block.call, input: block.args } }]
      : [{ id: block.id, type: 'function', function: { name: block.call, arguments: block.args } }];
  });
  const message = {
    role: 'assistant',
    content: text === '' ? null : text,
    ...(calls.length > 0 ? { tool_calls: calls } : {}),
  };
  return {
    id: 'chatcmpl-1',
    object: 'chat.completion',
    choices: [{ index: 0, message, finish_reason: stop }],
    x_kept: 1.0,
  };
}

function fromCompletion({ choices }: OpenAI.ChatCompletion): Turn {
  const [choice] = choices;
  const blocks: Block[] = choice?.message.content ? [{ text: choice.message.content }] : [];
  for (const call of choice?.message.tool_calls ?? []) {
    blocks.push(
      call.type === 'custom'
        ? { call: call.custom.name, id: call.id, args: call.custom.input, kind: 'custom' }
        : { call: call.function.name, id: call.id, args: call.function.arguments, kind: 'function' },
    );
  }
  return { blocks, stop: choice?.finish_reason ?? '' };
}

// Responses.

export function outputItem(block: Block, status: string, isStarted = false): Record<string, unknown> {
  if ('text' in block) {
    const content = [{ type: 'output_text', text: block.text, annotations: [], logprobs: [] }];
    return { id: 'msg_1', type: 'message', status, role: 'assistant', content: isStarted ? [] : content };
  }
  const { call, id, args, kind } = block;
  const common = { id: `${kind === 'function' ? 'fc' : kind}_${id}`, status, call_id: id };
  if (kind === 'function')
    return { ...common, type: 'function_call', name: call, arguments: isStarted ? '' : args };
  if (kind === 'custom')
    return { ...common, id: `ctc_${id}`, type: 'custom_tool_call', name: call, input: isStarted ? '' : args };
  if (kind === 'apply_patch') return { ...common, type: 'apply_patch_call', operation: JSON.parse(args) };
  if (kind === 'mcp_approval')
    return { id, type: 'mcp_approval_request', server_label: 's', name: call, arguments: args };
  const checks = kind === 'computer' ? { pending_safety_checks: [] } : {};
  return { ...common, type: `${kind}_call`, action: JSON.parse(args), ...checks };
}

export const REASONING = { id: 'rs_1', type: 'reasoning', summary: [], encrypted_content: 'c2VhbGVk' };

export function response({ blocks }: Turn, status: string): Record<string, unknown> {
  return {
    id: 'resp_1',
    object: 'response',
    created_at: 1,
    status,
    error: null,
    incomplete_details: null,
    model: 'm',
    output:
      status === 'completed' ? [REASONING, ...blocks.map((block) => outputItem(block, 'completed'))] : [],
    tools: [],
    usage: { input_tokens: 1, output_tokens: 2, total_tokens: 3 },
    x_kept: 1.0,
  };
}

export function responsesEvents(turn: Turn): Record<string, unknown>[] {
  const events: Record<string, unknown>[] = [
    { type: 'response.created', response: response(turn, 'in_progress') },
    { type: 'response.in_progress', response: response(turn, 'in_progress') },
    { type: 'response.output_item.added', output_index: 0, item: REASONING },
    { type: 'response.output_item.done', output_index: 0, item: REASONING },
  ];
  for (const [at, block] of turn.blocks.entries()) events.push(...blockEvents(block, at + 1));
  events.push({ type: 'response.completed', response: response(turn, 'completed') });
  return events.map((event, sequence_number) => ({ ...event, sequence_number }));
}

function blockEvents(block: Block, output_index: number): Record<string, unknown>[] {
  const item = outputItem(block, 'completed');
  const added = {
    type: 'response.output_item.added',
    output_index,
    item: outputItem(block, 'in_progress', true),
  };
  const done = { type: 'response.output_item.done', output_index, item };
  const at = { item_id: item['id'], output_index };
  if ('text' in block) {
    const place = { ...at, content_index: 0 };
    const part = (text: string): object => ({
      part: { type: 'output_text', text, annotations: [], logprobs: [] },
    });
    return [
      added,
      { type: 'response.content_part.added', ...place, ...part('') },
      ...thirds(block.text).map((delta) => ({
        type: 'response.output_text.delta',
        ...place,
        delta,
        logprobs: [],
      })),
      { type: 'response.output_text.done', ...place, text: block.text, logprobs: [] },
      { type: 'response.content_part.done', ...place, ...part(block.text) },
      done,
    ];
  }
  const stem = block.kind === 'function' ? 'function_call_arguments' : 'custom_tool_call_input';
  if (block.kind !== 'function' && block.kind !== 'custom') return [added, done];
  const whole =
    block.kind === 'function' ? { name: block.call, arguments: block.args } : { input: block.args };
  return [
    added,
    ...thirds(block.args).map((delta) => ({ type: `response.${stem}.delta`, ...at, delta })),
    { type: `response.${stem}.done`, ...at, ...whole },
    done,
  ];
}

export function namedSse(events: readonly Record<string, unknown>[]): Buffer {
  return Buffer.concat(
    events.map((event) => encodeSseEvent({ name: String(event['type']), data: JSON.stringify(event) })),
  );
}

function responsesStream(turn: Turn): Buffer {
  return namedSse(responsesEvents(turn));
}

function fromResponse({ output }: OpenAI.Responses.Response): Turn {
  return { blocks: output.filter(({ type }) => type !== 'reasoning').map(toBlock), stop: '' };
}

function toBlock(item: OpenAI.Responses.ResponseOutputItem): Block {
  if (item.type === 'message') {
    const parts = item.content.map((part) => (part.type === 'output_text' ? part.text : part.refusal));
    return { text: parts.join('') };
  }
  if (item.type === 'function_call')
    return { call: item.name, id: item.call_id, args: item.arguments, kind: 'function' };
  if (item.type === 'custom_tool_call')
    return { call: item.name, id: item.call_id, args: item.input, kind: 'custom' };
  if (item.type === 'mcp_approval_request')
    return { call: item.name, id: item.id, args: item.arguments, kind: 'mcp_approval' };
  if (item.type === 'apply_patch_call')
    return {
      call: 'apply_patch',
      id: item.call_id,
      args: JSON.stringify(item.operation),
      kind: 'apply_patch',
    };
  for (const kind of ['local_shell', 'shell', 'computer'] as const) {
    if (item.type === `${kind}_call` && 'action' in item && 'call_id' in item)
      return { call: kind, id: item.call_id, args: JSON.stringify(item.action), kind };
  }
  throw new Error(`unexpected item ${item.type}`);
}

function thirds(text: string): string[] {
  const third = Math.ceil(text.length / 3);
  return [text.slice(0, third), text.slice(third, 2 * third), text.slice(2 * third)].filter(
    (piece) => piece !== '',
  );
}
