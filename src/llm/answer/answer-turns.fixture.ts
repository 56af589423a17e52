/** One model turn in every format that these editors read, and the official SDKs reading it back. */
import { createServer } from 'node:http';
import { Readable } from 'node:stream';
import Anthropic from '@anthropic-ai/sdk';
import {
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
} from '@aws-sdk/client-bedrock-runtime';
import { GoogleGenAI } from '@google/genai';
import { encodeEventStreamMessage } from '../../wire/aws-event-stream.ts';
import { encodeSseEvent } from '../../wire/sse.ts';
import type { Format } from '../surface.ts';

export type Block =
  | { readonly thinking: string; readonly signature: string }
  | { readonly text: string }
  | { readonly call: string; readonly id: string; readonly args: object; readonly signature?: string };

export interface Turn {
  readonly blocks: readonly Block[];
  readonly stop: string;
}

/** One format as it is streamed or not. */
export interface Cell {
  readonly name: string;
  readonly format: Format;
  readonly model: string | null;
  readonly contentType: string;
  readonly streamed: boolean;
  write(turn: Turn): Buffer;
  /** What the official SDK makes of the bytes. */
  read(bytes: Buffer): Promise<Turn>;
}

const CLAUDE = 'us.anthropic.claude-sonnet-4-5-20250929-v1:0';
const NOVA = 'amazon.nova-pro-v1:0';
const SSE = 'text/event-stream; charset=utf-8';
const FRAMES = 'application/vnd.amazon.eventstream';
const JSON_TYPE = 'application/json';

export const CELLS: readonly Cell[] = [
  cell('Anthropic, streamed', 'anthropic_messages', null, SSE, anthropicSse, readAnthropicStream),
  cell('Anthropic, whole', 'anthropic_messages', null, JSON_TYPE, anthropicWhole, readAnthropicWhole),
  cell('Anthropic on Vertex, streamed', 'google_raw_predict', null, SSE, anthropicSse, readAnthropicStream),
  cell(
    'Bedrock invoke of Claude, streamed',
    'bedrock_model_invoke',
    CLAUDE,
    FRAMES,
    claudeChunks,
    readClaudeChunks,
  ),
  cell(
    'Bedrock invoke of Claude, whole',
    'bedrock_model_invoke',
    CLAUDE,
    JSON_TYPE,
    anthropicWhole,
    readClaudeWhole,
  ),
  cell('Bedrock invoke of Nova, streamed', 'bedrock_model_invoke', NOVA, FRAMES, novaChunks, readNovaChunks),
  cell(
    'Bedrock invoke of Nova, whole',
    'bedrock_model_invoke',
    NOVA,
    JSON_TYPE,
    converseWhole,
    readConverseWhole,
  ),
  cell('Bedrock Converse, streamed', 'bedrock_converse', null, FRAMES, converseFrames, readConverseFrames),
  cell('Bedrock Converse, whole', 'bedrock_converse', null, JSON_TYPE, converseWhole, readConverseWhole),
  cell('Gemini, streamed as events', 'gemini_generate_content', null, SSE, geminiSse, readGeminiStream),
  cell(
    'Gemini, streamed as an array',
    'google_generate_content',
    null,
    JSON_TYPE,
    geminiArray,
    readGeminiArray,
    true,
  ),
  cell('Gemini, whole', 'gemini_generate_content', null, JSON_TYPE, geminiWhole, readGeminiWhole),
];

function cell(
  name: string,
  format: Format,
  model: string | null,
  contentType: string,
  write: Cell['write'],
  read: Cell['read'],
  streamed = contentType !== JSON_TYPE,
): Cell {
  return { name, format, model, contentType, streamed, write, read };
}

/** Pieces of uneven lengths. */
function pieces(text: string): string[] {
  return text.match(/[^]{1,7}/g) ?? [''];
}

// Anthropic

function anthropicBlock(block: Block): object {
  if ('thinking' in block) return { type: 'thinking', ...block };
  if ('text' in block) return { type: 'text', text: block.text };
  return { type: 'tool_use', id: block.id, name: block.call, input: block.args };
}

function anthropicMessage(turn: Turn): object {
  return {
    id: 'msg_1',
    type: 'message',
    role: 'assistant',
    model: 'claude-sonnet-4-5',
    content: turn.blocks.map(anthropicBlock),
    stop_reason: turn.stop,
    stop_sequence: null,
    usage: { input_tokens: 10, output_tokens: 20 },
  };
}

export function anthropicWhole(turn: Turn): Buffer {
  return Buffer.from(JSON.stringify(anthropicMessage(turn)));
}

export function* anthropicEvents(turn: Turn): Generator<{ readonly type: string }> {
  yield event('message_start', {
    message: { ...anthropicMessage({ blocks: [], stop: '' }), stop_reason: null },
  });
  for (const [index, block] of turn.blocks.entries()) {
    const delta = (value: object) => event('content_block_delta', { index, delta: value });
    const start = (value: object) => event('content_block_start', { index, content_block: value });
    if ('thinking' in block) {
      yield start({ type: 'thinking', thinking: '', signature: '' });
      for (const thinking of pieces(block.thinking)) yield delta({ type: 'thinking_delta', thinking });
      yield delta({ type: 'signature_delta', signature: block.signature });
    } else if ('text' in block) {
      yield start({ type: 'text', text: '' });
      yield event('ping', {});
      for (const text of pieces(block.text)) yield delta({ type: 'text_delta', text });
    } else {
      yield start({ ...anthropicBlock(block), input: {} });
      yield delta({ type: 'input_json_delta', partial_json: '' });
      for (const partial_json of pieces(JSON.stringify(block.args)))
        yield delta({ type: 'input_json_delta', partial_json });
    }
    yield event('content_block_stop', { index });
  }
  yield event('message_delta', {
    delta: { stop_reason: turn.stop, stop_sequence: null },
    usage: { output_tokens: 20 },
  });
  yield event('message_stop', {});
}

function event(type: string, value: object): { readonly type: string } {
  return { type, ...value };
}

export function anthropicSse(turn: Turn): Buffer {
  return Buffer.concat(
    [...anthropicEvents(turn)].map((value) =>
      encodeSseEvent({ name: value.type, data: JSON.stringify(value) }),
    ),
  );
}

function fromAnthropic(message: Anthropic.Message): Turn {
  const blocks = message.content.map((block): Block => {
    if (block.type === 'thinking') return { thinking: block.thinking, signature: block.signature };
    if (block.type === 'text') return { text: block.text };
    if (block.type === 'tool_use') return { call: block.name, id: block.id, args: asObject(block.input) };
    throw new Error(`unexpected block ${block.type}`);
  });
  return { blocks, stop: message.stop_reason ?? '' };
}

function asObject(value: unknown): object {
  if (typeof value !== 'object' || value === null) throw new Error('not an object');
  return value;
}

function anthropicClient(bytes: Buffer, contentType: string): Anthropic {
  return new Anthropic({
    apiKey: 'unused',
    maxRetries: 0,
    fetch: async () => new Response(new Uint8Array(bytes), { headers: { 'content-type': contentType } }),
  });
}

const QUESTION = {
  model: 'claude-test',
  max_tokens: 100,
  messages: [{ role: 'user' as const, content: 'go' }],
};

export async function readAnthropicStream(bytes: Buffer): Promise<Turn> {
  return fromAnthropic(await anthropicClient(bytes, SSE).messages.stream(QUESTION).finalMessage());
}

async function readAnthropicWhole(bytes: Buffer): Promise<Turn> {
  return fromAnthropic(await anthropicClient(bytes, JSON_TYPE).messages.create(QUESTION));
}

// Bedrock

export function frame(type: string, payload: object, messageType = 'event'): Buffer {
  const text = (value: string) => ({ type: 'string', value }) as const;
  return encodeEventStreamMessage({
    headers: new Map([
      [':event-type', text(type)],
      [':content-type', text('application/json')],
      [':message-type', text(messageType)],
    ]),
    payload: Buffer.from(JSON.stringify(payload)),
  });
}

export function chunkFrame(value: object): Buffer {
  return frame('chunk', { bytes: Buffer.from(JSON.stringify(value)).toString('base64'), p: 'abcdefg' });
}

export function claudeChunks(turn: Turn): Buffer {
  return Buffer.concat([...anthropicEvents(turn)].map(chunkFrame));
}

export function* converseEvents(turn: Turn): Generator<[string, object]> {
  yield ['messageStart', { role: 'assistant' }];
  for (const [contentBlockIndex, block] of turn.blocks.entries()) {
    const delta = (value: object): [string, object] => [
      'contentBlockDelta',
      { contentBlockIndex, delta: value, p: 'abc' },
    ];
    if ('thinking' in block) {
      for (const text of pieces(block.thinking)) yield delta({ reasoningContent: { text } });
      yield delta({ reasoningContent: { signature: block.signature } });
    } else if ('text' in block) {
      for (const text of pieces(block.text)) yield delta({ text });
    } else {
      const toolUse = { toolUseId: block.id, name: block.call };
      yield ['contentBlockStart', { contentBlockIndex, start: { toolUse }, p: 'ab' }];
      for (const input of pieces(JSON.stringify(block.args))) yield delta({ toolUse: { input } });
    }
    yield ['contentBlockStop', { contentBlockIndex }];
  }
  yield ['messageStop', { stopReason: turn.stop }];
  yield [
    'metadata',
    { usage: { inputTokens: 1, outputTokens: 2, totalTokens: 3 }, metrics: { latencyMs: 5 } },
  ];
}

function converseFrames(turn: Turn): Buffer {
  return Buffer.concat([...converseEvents(turn)].map(([type, value]) => frame(type, value)));
}

function novaChunks(turn: Turn): Buffer {
  return Buffer.concat([...converseEvents(turn)].map(([type, value]) => chunkFrame({ [type]: value })));
}

function converseWhole(turn: Turn): Buffer {
  const content = turn.blocks.map((block) => {
    if ('thinking' in block)
      return { reasoningContent: { reasoningText: { text: block.thinking, signature: block.signature } } };
    if ('text' in block) return { text: block.text };
    return { toolUse: { toolUseId: block.id, name: block.call, input: block.args } };
  });
  return Buffer.from(
    JSON.stringify({
      output: { message: { role: 'assistant', content } },
      stopReason: turn.stop,
      usage: { inputTokens: 1, outputTokens: 2, totalTokens: 3 },
      metrics: { latencyMs: 5 },
    }),
  );
}

function bedrockClient(bytes: Buffer, contentType: string): BedrockRuntimeClient {
  return new BedrockRuntimeClient({
    region: 'us-east-1',
    credentials: { accessKeyId: 'unused', secretAccessKey: 'unused' },
    maxAttempts: 1,
    requestHandler: {
      handle: async () => ({
        response: {
          statusCode: 200,
          headers: { 'content-type': contentType },
          body: Readable.from([bytes]),
        },
      }),
    },
  });
}

interface ConverseBlock {
  readonly text?: string | undefined;
  readonly toolUse?:
    | {
        readonly toolUseId?: string | undefined;
        readonly name?: string | undefined;
        readonly input?: unknown;
      }
    | undefined;
  readonly reasoningContent?:
    | {
        readonly reasoningText?:
          | { readonly text?: string | undefined; readonly signature?: string | undefined }
          | undefined;
      }
    | undefined;
}

function fromConverse(block: ConverseBlock): Block {
  const { text, toolUse, reasoningContent } = block;
  if (toolUse !== undefined)
    return { call: toolUse.name ?? '', id: toolUse.toolUseId ?? '', args: asObject(toolUse.input) };
  if (text !== undefined) return { text };
  const reasoning = reasoningContent?.reasoningText;
  return { thinking: reasoning?.text ?? '', signature: reasoning?.signature ?? '' };
}

async function readConverseWhole(bytes: Buffer): Promise<Turn> {
  const answer = await bedrockClient(bytes, JSON_TYPE).send(
    new ConverseCommand({ modelId: CLAUDE, messages: [] }),
  );
  return { blocks: (answer.output?.message?.content ?? []).map(fromConverse), stop: answer.stopReason ?? '' };
}

/** What a client gathers from the events of a Converse stream. */
class Gathered {
  readonly #blocks = new Map<
    number,
    { text?: string; thinking?: string; signature?: string; call?: string; id?: string; json?: string }
  >();
  stop = '';

  add(found: Readonly<Record<string, unknown>>): void {
    const start = asRecord(found['contentBlockStart']);
    const delta = asRecord(found['contentBlockDelta']);
    const stop = asRecord(found['messageStop']);
    if (start !== null) {
      const call = asRecord(asRecord(start['start'])?.['toolUse']);
      if (call !== null) this.#at(start).call = String(call['name']);
      if (call !== null) this.#at(start).id = String(call['toolUseId']);
    }
    if (delta !== null) this.#delta(delta);
    if (stop !== null) this.stop = String(stop['stopReason']);
  }

  turn(): Turn {
    const blocks = [...this.#blocks.entries()]
      .toSorted(([a], [b]) => a - b)
      .map(([, block]): Block => {
        if (block.call !== undefined)
          return { call: block.call, id: block.id ?? '', args: asObject(JSON.parse(block.json ?? '{}')) };
        if (block.text !== undefined) return { text: block.text };
        return { thinking: block.thinking ?? '', signature: block.signature ?? '' };
      });
    return { blocks, stop: this.stop };
  }

  #delta(found: Readonly<Record<string, unknown>>): void {
    const delta = asRecord(found['delta']) ?? {};
    const block = this.#at(found);
    const reasoning = asRecord(delta['reasoningContent']);
    const input = asRecord(delta['toolUse'])?.['input'];
    if (typeof delta['text'] === 'string') block.text = (block.text ?? '') + delta['text'];
    if (typeof input === 'string') block.json = (block.json ?? '') + input;
    if (typeof reasoning?.['text'] === 'string') block.thinking = (block.thinking ?? '') + reasoning['text'];
    if (typeof reasoning?.['signature'] === 'string') block.signature = reasoning['signature'];
  }

  #at(found: Readonly<Record<string, unknown>>) {
    const index = Number(found['contentBlockIndex']);
    const block = this.#blocks.get(index) ?? {};
    this.#blocks.set(index, block);
    return block;
  }
}

function asRecord(value: unknown): Readonly<Record<string, unknown>> | null {
  return typeof value === 'object' && value !== null ? Object.fromEntries(Object.entries(value)) : null;
}

async function readConverseFrames(bytes: Buffer): Promise<Turn> {
  const answer = await bedrockClient(bytes, FRAMES).send(
    new ConverseStreamCommand({ modelId: CLAUDE, messages: [] }),
  );
  const gathered = new Gathered();
  for await (const found of answer.stream ?? []) gathered.add(asRecord(found) ?? {});
  return gathered.turn();
}

async function chunksOf(bytes: Buffer, modelId: string): Promise<string[]> {
  const command = new InvokeModelWithResponseStreamCommand({ modelId, body: '{}' });
  const answer = await bedrockClient(bytes, FRAMES).send(command);
  const chunks: string[] = [];
  for await (const found of answer.body ?? [])
    chunks.push(Buffer.from(found.chunk?.bytes ?? []).toString('utf8'));
  return chunks;
}

async function readClaudeChunks(bytes: Buffer): Promise<Turn> {
  const chunks = await chunksOf(bytes, CLAUDE);
  const events = chunks.map((data) =>
    encodeSseEvent({ name: String(asRecord(JSON.parse(data))?.['type']), data }),
  );
  return readAnthropicStream(Buffer.concat(events));
}

async function readNovaChunks(bytes: Buffer): Promise<Turn> {
  const gathered = new Gathered();
  for (const chunk of await chunksOf(bytes, NOVA)) gathered.add(asRecord(JSON.parse(chunk)) ?? {});
  return gathered.turn();
}

async function readClaudeWhole(bytes: Buffer): Promise<Turn> {
  const answer = await bedrockClient(bytes, JSON_TYPE).send(
    new InvokeModelCommand({ modelId: CLAUDE, body: '{}' }),
  );
  return readAnthropicWhole(Buffer.from(answer.body));
}

// Gemini

export function geminiResponse(parts: readonly object[], finishReason?: string): object {
  return {
    candidates: [
      {
        content: { role: 'model', parts },
        ...(finishReason === undefined ? {} : { finishReason }),
        index: 0,
      },
    ],
    usageMetadata: { promptTokenCount: 10, candidatesTokenCount: 3, totalTokenCount: 13 },
    modelVersion: 'gemini-3-pro-preview',
    responseId: 'r1',
  };
}

function geminiPart(block: Block): object {
  if ('thinking' in block) return { text: block.thinking, thought: true };
  if ('text' in block) return { text: block.text };
  const functionCall = { id: block.id, name: block.call, args: block.args };
  return block.signature === undefined
    ? { functionCall }
    : { functionCall, thoughtSignature: block.signature };
}

function geminiResponses(turn: Turn): object[] {
  const responses = turn.blocks.flatMap((block) =>
    'text' in block
      ? pieces(block.text).map((text) => geminiResponse([{ text }]))
      : [geminiResponse([geminiPart(block)])],
  );
  return [...responses, geminiResponse([{ text: '' }], 'STOP')];
}

function geminiSse(turn: Turn): Buffer {
  return Buffer.concat(
    geminiResponses(turn).map((value) => Buffer.from(`data: ${JSON.stringify(value)}\r\n\r\n`)),
  );
}

function geminiArray(turn: Turn): Buffer {
  return Buffer.from(
    `[${geminiResponses(turn)
      .map((value) => JSON.stringify(value, null, 1))
      .join('\n,\r\n')}\n]\n`,
  );
}

function geminiWhole(turn: Turn): Buffer {
  return Buffer.from(JSON.stringify(geminiResponse(turn.blocks.map(geminiPart), 'STOP'), null, 2));
}

interface GeminiPart {
  readonly text?: string;
  readonly thought?: boolean;
  readonly thoughtSignature?: string;
  readonly functionCall?: { readonly id?: string; readonly name?: string; readonly args?: object };
}

/** Parts as a client joins them: text with text. */
function fromGemini(parts: readonly GeminiPart[]): Turn {
  const blocks: Block[] = [];
  for (const part of parts) {
    const last = blocks.at(-1);
    if (part.functionCall !== undefined) {
      const { id = '', name = '', args = {} } = part.functionCall;
      const signature = part.thoughtSignature;
      blocks.push({ call: name, id, args, ...(signature === undefined ? {} : { signature }) });
    } else if (part.thought === true) {
      blocks.push({ thinking: part.text ?? '', signature: 'none' });
    } else if (last !== undefined && 'text' in last) {
      blocks[blocks.length - 1] = { text: last.text + (part.text ?? '') };
    } else if (part.text !== undefined && part.text !== '') {
      blocks.push({ text: part.text });
    }
  }
  return { blocks, stop: 'STOP' };
}

async function withServer<Value>(
  bytes: Buffer,
  contentType: string,
  use: (client: GoogleGenAI) => Promise<Value>,
): Promise<Value> {
  const server = createServer((_, res) => res.writeHead(200, { 'content-type': contentType }).end(bytes));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  try {
    return await use(
      new GoogleGenAI({ apiKey: 'unused', httpOptions: { baseUrl: `http://127.0.0.1:${port}` } }),
    );
  } finally {
    server.closeAllConnections();
    server.close();
  }
}

async function readGeminiStream(bytes: Buffer): Promise<Turn> {
  return withServer(bytes, SSE, async (client) => {
    const parts: GeminiPart[] = [];
    const stream = await client.models.generateContentStream({
      model: 'gemini-3-pro-preview',
      contents: 'go',
    });
    for await (const chunk of stream)
      parts.push(...(chunk.candidates?.[0]?.content?.parts ?? []).map(asPart));
    return fromGemini(parts);
  });
}

async function readGeminiWhole(bytes: Buffer): Promise<Turn> {
  return withServer(bytes, JSON_TYPE, async (client) => {
    const answer = await client.models.generateContent({ model: 'gemini-3-pro-preview', contents: 'go' });
    return fromGemini((answer.candidates?.[0]?.content?.parts ?? []).map(asPart));
  });
}

/** The SDK asks for events only; an array is read as any client of JSON would. */
async function readGeminiArray(bytes: Buffer): Promise<Turn> {
  const responses: unknown = JSON.parse(bytes.toString('utf8'));
  if (!Array.isArray(responses)) throw new Error('not an array');
  const events = responses.map((value) => Buffer.from(`data: ${JSON.stringify(value)}\n\n`));
  return readGeminiStream(Buffer.concat(events));
}

function asPart(part: object): GeminiPart {
  return part;
}
