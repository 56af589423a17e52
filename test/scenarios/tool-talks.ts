/**
 * Conversations of an agent through the official SDKs: each keeps its history as a client of that API
 * does, answers the calls that it is asked for, and goes on.
 */
import {
  BedrockRuntimeClient,
  ConverseCommand,
  ConverseStreamCommand,
  InvokeModelCommand,
  InvokeModelWithResponseStreamCommand,
  type ContentBlock,
  type ConverseStreamOutput,
  type Message,
} from '@aws-sdk/client-bedrock-runtime';
import Anthropic from '@anthropic-ai/sdk';
import { GoogleGenAI, type Content, type GenerateContentResponse, type Part } from '@google/genai';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import OpenAI from 'openai';
import { modelThat, type BehaviourName } from '../upstream/index.ts';

export interface Turn {
  readonly calls: readonly { readonly name: string; readonly input: Readonly<Record<string, unknown>> }[];
  readonly text: string;
  /** Whether the answer says that it stopped for its calls. */
  readonly stopsForTools: boolean;
}

export interface Talk {
  /** Answers the calls of the last turn, says something, and reads the next answer. */
  say(): Promise<Turn>;
}

export interface TalkOptions {
  /** Of Postern. */
  readonly url: string;
  readonly streamed: boolean;
  /** Names of the tools that are offered. */
  readonly tools: readonly string[];
  readonly behaviours: readonly BehaviourName[];
}

export const TALKS: readonly {
  readonly name: string;
  readonly create: (options: TalkOptions) => Talk;
}[] = [
  { name: 'messages', create: messages },
  { name: 'chat completions', create: chat },
  { name: 'responses by items', create: (options) => responses(options, false) },
  { name: 'responses by previous_response_id', create: (options) => responses(options, true) },
  { name: 'gemini', create: gemini },
  { name: 'bedrock converse', create: converse },
  { name: 'bedrock invoke', create: invoke },
];

const SCHEMA = { type: 'object' as const, properties: { path: { type: 'string' } } };

/** Tools that the message API of Anthropic takes, at Bedrock too. */
const anthropicTools = (names: readonly string[]) => names.map((name) => ({ name, input_schema: SCHEMA }));

function messages({ url, streamed, tools, behaviours }: TalkOptions): Talk {
  const client = new Anthropic({ baseURL: url, apiKey: '-', maxRetries: 0 });
  return anthropicTalk(tools, (body) => {
    const request = { model: modelThat('claude-fake', ...behaviours), ...body };
    return streamed ? client.messages.stream(request).finalMessage() : client.messages.create(request);
  });
}

type AnthropicBody = Pick<
  Anthropic.MessageCreateParamsNonStreaming,
  'max_tokens' | 'thinking' | 'tools' | 'messages'
>;
type AnthropicAnswer = Pick<Anthropic.Message, 'content' | 'stop_reason'>;

function anthropicTalk(
  tools: readonly string[],
  send: (body: AnthropicBody) => Promise<AnthropicAnswer>,
): Talk {
  const history: Anthropic.MessageParam[] = [];
  let results: Anthropic.ToolResultBlockParam[] = [];
  return {
    async say() {
      history.push({ role: 'user', content: [...results, { type: 'text', text: 'go on' }] });
      const answer = await send({
        max_tokens: 4_000,
        thinking: { type: 'enabled', budget_tokens: 1_024 },
        tools: anthropicTools(tools),
        messages: history,
      });
      history.push({ role: 'assistant', content: answer.content });
      const uses = answer.content.filter((block) => block.type === 'tool_use');
      results = uses.map(({ id }) => ({ type: 'tool_result', tool_use_id: id, content: 'done' }));
      return {
        calls: uses.map(({ name, input }) => ({ name, input: toObject(input) })),
        text: answer.content.flatMap((block) => (block.type === 'text' ? [block.text] : [])).join('\n'),
        stopsForTools: answer.stop_reason === 'tool_use',
      };
    },
  };
}

function chat({ url, streamed, tools, behaviours }: TalkOptions): Talk {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: '-', maxRetries: 0 });
  const history: OpenAI.ChatCompletionMessageParam[] = [];
  return {
    async say() {
      history.push({ role: 'user', content: 'go on' });
      const request = {
        model: modelThat('gpt-fake', ...behaviours),
        messages: history,
        tools: tools.map((name) => ({
          type: 'function' as const,
          function: { name, parameters: SCHEMA },
        })),
      };
      const answer = streamed
        ? await client.chat.completions.stream(request).finalChatCompletion()
        : await client.chat.completions.create(request);
      const [choice] = answer.choices;
      if (choice === undefined) throw new Error('an answer without a choice');
      const { message } = choice;
      const calls = (message.tool_calls ?? []).filter((call) => call.type === 'function');
      history.push({
        role: 'assistant',
        content: message.content,
        ...(calls.length === 0 ? {} : { tool_calls: calls }),
      });
      for (const { id } of calls) history.push({ role: 'tool', tool_call_id: id, content: 'done' });
      return {
        calls: calls.map((call) => ({ name: call.function.name, input: fromJson(call.function.arguments) })),
        text: message.content ?? '',
        stopsForTools: choice.finish_reason === 'tool_calls',
      };
    },
  };
}

/** `isStored`: the provider keeps the history, and only what is new is sent. */
function responses({ url, streamed, tools, behaviours }: TalkOptions, isStored: boolean): Talk {
  const client = new OpenAI({ baseURL: `${url}/v1`, apiKey: '-', maxRetries: 0 });
  let input: OpenAI.Responses.ResponseInputItem[] = [];
  let previous: string | null = null;
  return {
    async say() {
      input.push({ role: 'user', content: 'go on' });
      const request = {
        model: modelThat('gpt-fake', ...behaviours),
        input,
        tools: tools.map((name) => ({
          type: 'function' as const,
          name,
          parameters: SCHEMA,
          strict: false,
        })),
        ...(previous === null ? {} : { previous_response_id: previous }),
      };
      const answer: OpenAI.Responses.Response = streamed
        ? await client.responses.stream(request).finalResponse()
        : await client.responses.create(request);
      const calls = answer.output.filter((item) => item.type === 'function_call');
      const outputs = calls.map(({ call_id: id }) => ({
        type: 'function_call_output' as const,
        call_id: id,
        output: 'done',
      }));
      if (isStored) previous = answer.id;
      input = isStored ? outputs : [...input, ...answer.output.map(asInput), ...outputs];
      return {
        calls: calls.map((call) => ({ name: call.name, input: fromJson(call.arguments) })),
        text: answer.output_text,
        // The status of a response says nothing of calls.
        stopsForTools: calls.length > 0,
      };
    },
  };
}

/** What the helpers of the SDK add to an item does not go back. */
function asInput(item: OpenAI.Responses.ResponseOutputItem): OpenAI.Responses.ResponseInputItem {
  const { parsed: _, parsed_arguments: __, ...rest } = item as unknown as Record<string, unknown>;
  return rest as unknown as OpenAI.Responses.ResponseInputItem;
}

function gemini({ url, streamed, tools, behaviours }: TalkOptions): Talk {
  const client = new GoogleGenAI({ apiKey: '-', httpOptions: { baseUrl: url } });
  const contents: Content[] = [];
  let results: Part[] = [];
  return {
    async say() {
      // Responses stand alone in their content: a text beside them is a new turn of the user.
      if (results.length > 0) contents.push({ role: 'user', parts: results });
      else contents.push({ role: 'user', parts: [{ text: 'go on' }] });
      const request = {
        model: modelThat('gemini-fake', ...behaviours),
        contents,
        config: {
          tools: [{ functionDeclarations: tools.map((name) => ({ name, parametersJsonSchema: SCHEMA })) }],
        },
      };
      const chunks: GenerateContentResponse[] = [];
      if (streamed)
        for await (const chunk of await client.models.generateContentStream(request)) chunks.push(chunk);
      else chunks.push(await client.models.generateContent(request));
      const parts = chunks.flatMap((chunk) => chunk.candidates?.[0]?.content?.parts ?? []);
      contents.push({ role: 'model', parts });
      const calls = parts.flatMap(({ functionCall }) => (functionCall === undefined ? [] : [functionCall]));
      results = calls.map(({ name }) => ({
        functionResponse: { name: name ?? '', response: { output: 'done' } },
      }));
      return {
        calls: calls.map(({ name, args }) => ({ name: name ?? '', input: args ?? {} })),
        text: parts.map(({ text }) => text ?? '').join(''),
        // Gemini's finish reason says nothing of calls.
        stopsForTools: calls.length > 0,
      };
    },
  };
}

function bedrock(url: string): BedrockRuntimeClient {
  return new BedrockRuntimeClient({
    region: 'eu-north-1',
    endpoint: `${url}/bedrock`,
    credentials: { accessKeyId: 'AKIACALLER00', secretAccessKey: 'caller' },
    requestHandler: new NodeHttpHandler(),
    maxAttempts: 1,
  });
}

function invoke({ url, streamed, tools, behaviours }: TalkOptions): Talk {
  const client = bedrock(url);
  const modelId = modelThat('us.anthropic.claude-fake', ...behaviours);
  return anthropicTalk(tools, async (body) => {
    const request = {
      modelId,
      contentType: 'application/json',
      body: Buffer.from(JSON.stringify({ anthropic_version: 'bedrock-2023-05-31', ...body })),
    };
    if (!streamed) {
      const { body: bytes } = await client.send(new InvokeModelCommand(request));
      return JSON.parse(Buffer.from(bytes).toString()) as AnthropicAnswer;
    }
    const answer = await client.send(new InvokeModelWithResponseStreamCommand(request));
    const lines: string[] = [];
    for await (const { chunk } of answer.body ?? []) {
      const json = Buffer.from(chunk?.bytes ?? []).toString();
      const { type } = JSON.parse(json) as { type: string };
      lines.push(`event: ${type}\ndata: ${json}\n\n`);
    }
    return readAnthropicEvents(lines.join(''));
  });
}

/** Anthropic's own reader, over events that came in Bedrock's frames. */
function readAnthropicEvents(text: string): Promise<AnthropicAnswer> {
  const answer = new Response(text, { headers: { 'content-type': 'text/event-stream' } });
  const client = new Anthropic({ apiKey: '-', maxRetries: 0, fetch: () => Promise.resolve(answer) });
  return client.messages.stream({ model: '-', max_tokens: 1, messages: [] }).finalMessage();
}

function converse({ url, streamed, tools, behaviours }: TalkOptions): Talk {
  const client = bedrock(url);
  const history: Message[] = [];
  let results: ContentBlock[] = [];
  return {
    async say() {
      history.push({ role: 'user', content: [...results, { text: 'go on' }] });
      const request = {
        modelId: modelThat('us.anthropic.claude-fake', ...behaviours),
        messages: history,
        toolConfig: { tools: tools.map((name) => ({ toolSpec: { name, inputSchema: { json: SCHEMA } } })) },
      };
      let content: readonly ContentBlock[] = [];
      let stopReason: string | undefined;
      if (streamed) {
        const { stream } = await client.send(new ConverseStreamCommand(request));
        const events: ConverseStreamOutput[] = [];
        for await (const event of stream ?? []) events.push(event);
        content = blocksOf(events);
        stopReason = events.find(({ messageStop }) => messageStop !== undefined)?.messageStop?.stopReason;
      } else {
        const answer = await client.send(new ConverseCommand(request));
        content = answer.output?.message?.content ?? [];
        stopReason = answer.stopReason;
      }
      history.push({ role: 'assistant', content: [...content] });
      const uses = content.flatMap(({ toolUse }) => (toolUse === undefined ? [] : [toolUse]));
      results = uses.map(({ toolUseId }) => ({ toolResult: { toolUseId, content: [{ text: 'done' }] } }));
      return {
        calls: uses.map(({ name, input }) => ({ name: name ?? '', input: toObject(input) })),
        text: content.map(({ text }) => text ?? '').join('\n'),
        stopsForTools: stopReason === 'tool_use',
      };
    },
  };
}

/** The blocks of a Converse stream put together, as a client has to. */
function blocksOf(events: readonly ConverseStreamOutput[]): ContentBlock[] {
  interface Pieces {
    toolUse?: { toolUseId: string | undefined; name: string | undefined };
    input: string;
    text: string;
    thinking: string;
    signature: string;
  }
  const blocks = new Map<number, Pieces>();
  const at = (index = 0): Pieces => {
    const known = blocks.get(index) ?? { input: '', text: '', thinking: '', signature: '' };
    blocks.set(index, known);
    return known;
  };
  for (const { contentBlockStart: start, contentBlockDelta: piece } of events) {
    if (start?.start?.toolUse !== undefined)
      at(start.contentBlockIndex).toolUse = {
        toolUseId: start.start.toolUse.toolUseId,
        name: start.start.toolUse.name,
      };
    if (piece?.delta === undefined) continue;
    const block = at(piece.contentBlockIndex);
    block.text += piece.delta.text ?? '';
    block.input += piece.delta.toolUse?.input ?? '';
    block.thinking += piece.delta.reasoningContent?.text ?? '';
    block.signature += piece.delta.reasoningContent?.signature ?? '';
  }
  return [...blocks.entries()]
    .toSorted(([a], [b]) => a - b)
    .map(([, { toolUse, input, text, thinking, signature }]) => {
      if (toolUse !== undefined) return { toolUse: { ...toolUse, input: fromJson(input) } } as ContentBlock;
      return thinking === ''
        ? { text }
        : { reasoningContent: { reasoningText: { text: thinking, signature } } };
    });
}

function fromJson(text: string): Readonly<Record<string, unknown>> {
  return toObject(JSON.parse(text === '' ? '{}' : text));
}

function toObject(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== 'object' || value === null) throw new Error(`arguments that are ${typeof value}`);
  return { ...value };
}
