/** Targets, requests and answers of the tests of translation, and the official SDKs reading them. */
import assert from 'node:assert/strict';
import { createServer } from 'node:http';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI } from '@google/genai';
import OpenAI from 'openai';
import { isBodyProblem, readRequestBody, type BodyFacts } from '../request-body.ts';
import { isSurfaceMiss, matchSurface } from '../surfaces.ts';
import {
  isTranslationProblem,
  type AnswerTranslation,
  type TargetFormat,
  type TranslatedFormat,
  type TranslatedRequest,
  type TranslationProblem,
  type TranslationTarget,
} from './contract.ts';
import { translator } from './translator.ts';

export const FORMATS = [
  'anthropic_messages',
  'openai_chat',
  'openai_responses',
  'gemini_generate_content',
] as const satisfies readonly TranslatedFormat[];

/** Every ordered pair of formats. */
export const PAIRS = FORMATS.flatMap((from) =>
  FORMATS.filter((to) => to !== from).map((to) => [from, to] as const),
);

const PATHS: Readonly<Record<TranslatedFormat, string>> = {
  anthropic_messages: '/v1/messages',
  openai_chat: '/v1/chat/completions',
  openai_responses: '/v1/responses',
  gemini_generate_content: '/v1beta/models/m:generateContent',
};

export function factsOf(format: TranslatedFormat, body: unknown, stream = false): BodyFacts {
  const path =
    format === 'gemini_generate_content' && stream ? '/v1beta/models/m:streamGenerateContent' : PATHS[format];
  const match = matchSurface('POST', path, format === 'anthropic_messages');
  assert.ok(!isSurfaceMiss(match));
  const facts = readRequestBody(Buffer.from(JSON.stringify(body)), match);
  assert.ok(!isBodyProblem(facts), JSON.stringify(facts));
  return facts;
}

export function target(changes: Partial<TranslationTarget> = {}): TranslationTarget {
  let made = 0;
  return {
    model: 'target-model',
    callerModel: 'caller-model',
    provider: 'there',
    outputMaxTokens: null,
    chatLimitKey: 'max_completion_tokens',
    geminiFraming: 'sse',
    betas: [],
    newId: (prefix) => `${prefix}_${(made += 1)}`,
    createdSec: 1_700_000_000,
    ...changes,
  };
}

export interface TranslateOptions {
  readonly stream?: boolean;
  readonly target?: Partial<TranslationTarget>;
}

export function tryTranslate(
  from: TranslatedFormat,
  to: TargetFormat,
  body: Record<string, unknown>,
  options: TranslateOptions = {},
): TranslatedRequest | TranslationProblem {
  const made = translator(from, to);
  assert.ok(made);
  const stream = options.stream ?? false;
  const whole =
    from === 'gemini_generate_content'
      ? body
      : { model: 'caller-model', ...(stream ? { stream } : {}), ...body };
  return made.request(factsOf(from, whole, stream), target(options.target));
}

export function translate(
  from: TranslatedFormat,
  to: TargetFormat,
  body: Record<string, unknown>,
  options: TranslateOptions = {},
): TranslatedRequest & { readonly json: Record<string, unknown> } {
  const made = tryTranslate(from, to, body, options);
  assert.ok(!isTranslationProblem(made), JSON.stringify(made));
  return { ...made, json: JSON.parse(made.body.toString('utf8')) as Record<string, unknown> };
}

/** A small request of a format. */
export function plainRequest(format: TranslatedFormat, text = 'hello'): Record<string, unknown> {
  switch (format) {
    case 'anthropic_messages':
      return { max_tokens: 100, messages: [{ role: 'user', content: text }] };
    case 'openai_chat':
      return { messages: [{ role: 'user', content: text }], stream_options: { include_usage: true } };
    case 'openai_responses':
      return { input: text, store: false };
    case 'gemini_generate_content':
      return { contents: [{ role: 'user', parts: [{ text }] }] };
    default:
      return format satisfies never;
  }
}

/** All that a transcoder makes of bytes cut at every `size`. */
export function transcode(answers: AnswerTranslation, bytes: Buffer, size = bytes.length): Buffer {
  const coder = answers.createTranscoder();
  const out: Buffer[] = [];
  for (let at = 0; at < bytes.length; at += size) out.push(coder.push(bytes.subarray(at, at + size)));
  out.push(coder.finish());
  return Buffer.concat(out);
}

/** An answer as an SDK shows it. */
export interface SeenAnswer {
  readonly text: string;
  readonly thinking: string;
  readonly calls: readonly { readonly id: string | null; readonly name: string; readonly args: unknown }[];
  readonly stop: string;
  readonly input: number;
  readonly output: number;
}

const SSE_TYPE = 'text/event-stream; charset=utf-8';

function fetched(bytes: Buffer, contentType: string, status: number) {
  return async () =>
    new Response(new Uint8Array(bytes), { status, headers: { 'content-type': contentType } });
}

export function anthropicClient(bytes: Buffer, contentType = SSE_TYPE, status = 200): Anthropic {
  return new Anthropic({ apiKey: 'none', maxRetries: 0, fetch: fetched(bytes, contentType, status) });
}

export function openaiClient(bytes: Buffer, contentType = SSE_TYPE, status = 200): OpenAI {
  return new OpenAI({ apiKey: 'none', maxRetries: 0, fetch: fetched(bytes, contentType, status) });
}

/** Reads an answer with the official SDK of its format. */
export async function readBySdk(
  format: TranslatedFormat,
  bytes: Buffer,
  streamed: boolean,
): Promise<SeenAnswer> {
  const type = streamed ? SSE_TYPE : 'application/json';
  switch (format) {
    case 'anthropic_messages': {
      const { messages } = anthropicClient(bytes, type);
      const params = { model: 'm', max_tokens: 1, messages: [] };
      return seenMessage(
        streamed ? await messages.stream(params).finalMessage() : await messages.create(params),
      );
    }
    case 'openai_chat': {
      const { completions } = openaiClient(bytes, type).chat;
      const params = { model: 'm', messages: [] };
      if (!streamed) return seenCompletion(await completions.create(params));
      const options = { ...params, stream_options: { include_usage: true } };
      const seen = seenCompletion(await completions.stream(options).finalChatCompletion());
      // The helper gathers no members that OpenAI's own models do not send.
      let thinking = '';
      for await (const { choices } of await completions.create({ ...options, stream: true }))
        thinking +=
          (choices[0]?.delta as { reasoning_content?: string } | undefined)?.reasoning_content ?? '';
      return { ...seen, thinking };
    }
    case 'openai_responses': {
      const { responses } = openaiClient(bytes, type);
      const params = { model: 'm', input: 'q' };
      return seenResponse(
        streamed ? await responses.stream(params).finalResponse() : await responses.create(params),
      );
    }
    case 'gemini_generate_content':
      return readByGenai(bytes, type, streamed);
    default:
      return format satisfies never;
  }
}

function seenMessage(message: Anthropic.Message): SeenAnswer {
  const pick = (type: 'text' | 'thinking'): string =>
    message.content
      .map((block) => (block.type === type ? ((block as unknown as Record<string, string>)[type] ?? '') : ''))
      .join('');
  const usage = message.usage;
  return {
    text: pick('text'),
    thinking: pick('thinking'),
    calls: message.content.flatMap((block) =>
      block.type === 'tool_use' ? [{ id: block.id, name: block.name, args: block.input }] : [],
    ),
    stop: message.stop_reason ?? '',
    input:
      usage.input_tokens + (usage.cache_read_input_tokens ?? 0) + (usage.cache_creation_input_tokens ?? 0),
    output: usage.output_tokens,
  };
}

function seenCompletion(completion: OpenAI.ChatCompletion): SeenAnswer {
  const [choice] = completion.choices;
  assert.ok(choice);
  const message = choice.message as OpenAI.ChatCompletionMessage & { reasoning_content?: string };
  return {
    text: message.content ?? '',
    thinking: message.reasoning_content ?? '',
    calls: (message.tool_calls ?? []).map((call) =>
      call.type === 'function'
        ? { id: call.id, name: call.function.name, args: JSON.parse(call.function.arguments) as unknown }
        : { id: call.id, name: call.custom.name, args: call.custom.input },
    ),
    stop: choice.finish_reason,
    input: completion.usage?.prompt_tokens ?? -1,
    output: completion.usage?.completion_tokens ?? -1,
  };
}

function seenResponse(response: OpenAI.Responses.Response): SeenAnswer {
  return {
    text: response.output
      .flatMap((item) => (item.type === 'message' ? item.content : []))
      .map((part) => (part.type === 'output_text' ? part.text : part.refusal))
      .join(''),
    thinking: response.output
      .flatMap((item) => (item.type === 'reasoning' ? item.summary : []))
      .map(({ text }) => text)
      .join(''),
    calls: response.output.flatMap((item) => {
      if (item.type === 'function_call')
        return [{ id: item.call_id, name: item.name, args: JSON.parse(item.arguments) as unknown }];
      return item.type === 'custom_tool_call'
        ? [{ id: item.call_id, name: item.name, args: item.input }]
        : [];
    }),
    stop: response.incomplete_details?.reason ?? response.status ?? '',
    input: response.usage?.input_tokens ?? -1,
    output: response.usage?.output_tokens ?? -1,
  };
}

/** This SDK takes no fetch of its own: a server on the loopback answers it. */
async function readByGenai(bytes: Buffer, contentType: string, streamed: boolean): Promise<SeenAnswer> {
  const server = createServer((_request, response) => {
    response.writeHead(200, { 'content-type': contentType });
    response.end(bytes);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  try {
    const address = server.address();
    assert.ok(address !== null && typeof address === 'object');
    const { models } = new GoogleGenAI({
      apiKey: 'none',
      httpOptions: { baseUrl: `http://127.0.0.1:${address.port}` },
    });
    const params = { model: 'm', contents: 'q' };
    const found = [];
    if (streamed) for await (const part of await models.generateContentStream(params)) found.push(part);
    else found.push(await models.generateContent(params));
    const parts = found.flatMap((part) => part.candidates?.[0]?.content?.parts ?? []);
    const usage = found.at(-1)?.usageMetadata;
    return {
      text: parts.map((part) => (part.thought === true ? '' : (part.text ?? ''))).join(''),
      thinking: parts.map((part) => (part.thought === true ? (part.text ?? '') : '')).join(''),
      calls: parts.flatMap(({ functionCall: call }) =>
        call === undefined ? [] : [{ id: call.id ?? null, name: call.name ?? '', args: call.args }],
      ),
      stop: found.at(-1)?.candidates?.[0]?.finishReason ?? '',
      input: usage?.promptTokenCount ?? -1,
      output: (usage?.candidatesTokenCount ?? 0) + (usage?.thoughtsTokenCount ?? 0),
    };
  } finally {
    server.closeAllConnections();
    server.close();
  }
}
