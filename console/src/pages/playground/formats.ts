/**
 * The formats in which the playground speaks: how a conversation is written in each, and what the
 * answer's JSON holds. Sources: the API references of the providers. What is not known is passed over.
 */

export interface Turn {
  readonly role: 'user' | 'assistant';
  readonly text: string;
}

/** What is sent, before it is written in a format. */
export interface Prompt {
  readonly model: string;
  readonly system: string;
  readonly turns: readonly Turn[];
  /** Null leaves it to the provider, or to `MAX_TOKENS` where the format demands one. */
  readonly maxTokens: number | null;
  readonly temperature: number | null;
  readonly stream: boolean;
}

/** A piece of an answer. */
export type Piece =
  | { readonly kind: 'text' | 'thinking'; readonly text: string }
  /** `name` begins a call; without it more of the arguments of the last one. */
  | { readonly kind: 'tool'; readonly name: string | null; readonly text: string }
  | { readonly kind: 'stop'; readonly reason: string }
  | { readonly kind: 'fault'; readonly message: string };

export interface FormatSpec {
  readonly id: FormatId;
  readonly label: string;
  readonly canStream: boolean;
  /** Behind `/api/v1/playground`. */
  readonly path: (prompt: Pick<Prompt, 'model' | 'stream'>) => string;
  readonly headers?: Readonly<Record<string, string>>;
  readonly body: (prompt: Prompt) => Record<string, unknown>;
  /** Of one event of a stream. */
  readonly ofEvent: (data: unknown) => readonly Piece[];
  /** Of a whole answer. */
  readonly ofAnswer: (data: unknown) => readonly Piece[];
}

export const FORMAT_IDS = [
  'openai_chat',
  'openai_responses',
  'anthropic_messages',
  'gemini_generate_content',
  'bedrock_converse',
] as const;
export type FormatId = (typeof FORMAT_IDS)[number];

/** Messages demands a limit; as much as a page of text. */
const MAX_TOKENS = 1_024;

const chat: FormatSpec = {
  id: 'openai_chat',
  label: 'OpenAI Chat Completions',
  canStream: true,
  path: () => '/v1/chat/completions',
  body: ({ model, system, turns, maxTokens, temperature, stream }) => ({
    model,
    messages: [
      ...(system === '' ? [] : [{ role: 'system', content: system }]),
      ...turns.map(({ role, text }) => ({ role, content: text })),
    ],
    ...optional('max_completion_tokens', maxTokens),
    ...optional('temperature', temperature),
    ...(stream ? { stream: true, stream_options: { include_usage: true } } : {}),
  }),
  ofEvent: (data) => [
    ...listOf(data, 'choices').flatMap((choice) => chatPieces(choice, at(choice, 'delta'))),
    ...faultOf(at(data, 'error')),
  ],
  ofAnswer: (data) => listOf(data, 'choices').flatMap((choice) => chatPieces(choice, at(choice, 'message'))),
};

function chatPieces(choice: unknown, said: unknown): readonly Piece[] {
  return [
    ...piece('thinking', textOf(said, 'reasoning_content') ?? textOf(said, 'reasoning')),
    ...piece('text', textOf(said, 'content') ?? textOf(said, 'refusal')),
    ...listOf(said, 'tool_calls').map((call) => toolPiece(at(call, 'function'))),
    ...stopOf(textOf(choice, 'finish_reason')),
  ];
}

const responses: FormatSpec = {
  id: 'openai_responses',
  label: 'OpenAI Responses',
  canStream: true,
  path: () => '/v1/responses',
  body: ({ model, system, turns, maxTokens, temperature, stream }) => ({
    model,
    ...(system === '' ? {} : { instructions: system }),
    input: turns.map(({ role, text }) => ({ role, content: text })),
    ...optional('max_output_tokens', maxTokens),
    ...optional('temperature', temperature),
    store: false,
    ...(stream ? { stream: true } : {}),
  }),
  ofEvent(data) {
    const delta = textOf(data, 'delta');
    switch (textOf(data, 'type') ?? '') {
      case 'response.output_text.delta':
      case 'response.refusal.delta':
        return piece('text', delta);
      case 'response.reasoning_summary_text.delta':
      case 'response.reasoning_text.delta':
        return piece('thinking', delta);
      case 'response.output_item.done': {
        const item = at(data, 'item');
        return textOf(item, 'type') === 'function_call' ? [toolPiece(item)] : [];
      }
      case 'response.completed':
      case 'response.incomplete':
      case 'response.failed':
        return endOfResponse(at(data, 'response'));
      case 'error':
        return faultOf(data);
      default:
        return [];
    }
  },
  ofAnswer: (data) => [
    ...listOf(data, 'output').flatMap((item): readonly Piece[] => {
      switch (textOf(item, 'type') ?? '') {
        case 'reasoning':
          return listOf(item, 'summary').flatMap((part) => piece('thinking', textOf(part, 'text')));
        case 'function_call':
          return [toolPiece(item)];
        default:
          return listOf(item, 'content').flatMap((part) =>
            piece('text', textOf(part, 'text') ?? textOf(part, 'refusal')),
          );
      }
    }),
    ...endOfResponse(data),
  ],
};

function endOfResponse(response: unknown): readonly Piece[] {
  const why = textOf(at(response, 'incomplete_details'), 'reason');
  return [...faultOf(at(response, 'error')), ...stopOf(why ?? textOf(response, 'status'))];
}

const messages: FormatSpec = {
  id: 'anthropic_messages',
  label: 'Anthropic Messages',
  canStream: true,
  path: () => '/v1/messages',
  headers: { 'anthropic-version': '2023-06-01' },
  body: ({ model, system, turns, maxTokens, temperature, stream }) => ({
    model,
    max_tokens: maxTokens ?? MAX_TOKENS,
    ...(system === '' ? {} : { system }),
    messages: turns.map(({ role, text }) => ({ role, content: text })),
    ...optional('temperature', temperature),
    ...(stream ? { stream: true } : {}),
  }),
  ofEvent(data) {
    const delta = at(data, 'delta');
    switch (textOf(data, 'type') ?? '') {
      case 'content_block_start': {
        const block = at(data, 'content_block');
        return textOf(block, 'type') === 'tool_use'
          ? [{ kind: 'tool', name: textOf(block, 'name'), text: '' }]
          : anthropicBlock(block);
      }
      case 'content_block_delta': {
        const json = textOf(delta, 'partial_json');
        return json === null ? anthropicBlock(delta) : [{ kind: 'tool', name: null, text: json }];
      }
      case 'message_delta':
        return stopOf(textOf(delta, 'stop_reason'));
      case 'error':
        return faultOf(at(data, 'error'));
      default:
        return [];
    }
  },
  ofAnswer: (data) => [
    ...listOf(data, 'content').flatMap(anthropicBlock),
    ...stopOf(textOf(data, 'stop_reason')),
  ],
};

function anthropicBlock(block: unknown): readonly Piece[] {
  if (textOf(block, 'type') === 'tool_use')
    return [{ kind: 'tool', name: textOf(block, 'name') ?? '', text: JSON.stringify(at(block, 'input')) }];
  return [...piece('thinking', textOf(block, 'thinking')), ...piece('text', textOf(block, 'text'))];
}

const gemini: FormatSpec = {
  id: 'gemini_generate_content',
  label: 'Gemini generateContent',
  canStream: true,
  path: ({ model, stream }) =>
    `/v1beta/models/${encodeURIComponent(model)}:${stream ? 'streamGenerateContent?alt=sse' : 'generateContent'}`,
  body: ({ system, turns, maxTokens, temperature }) => ({
    ...(system === '' ? {} : { systemInstruction: { parts: [{ text: system }] } }),
    contents: turns.map(({ role, text }) => ({
      role: role === 'assistant' ? 'model' : 'user',
      parts: [{ text }],
    })),
    ...(maxTokens === null && temperature === null
      ? {}
      : {
          generationConfig: {
            ...optional('maxOutputTokens', maxTokens),
            ...optional('temperature', temperature),
          },
        }),
  }),
  ofEvent: geminiPieces,
  ofAnswer: geminiPieces,
};

function geminiPieces(data: unknown): readonly Piece[] {
  return [
    ...listOf(data, 'candidates').flatMap((candidate) => [
      ...listOf(at(candidate, 'content'), 'parts').flatMap((part): readonly Piece[] => {
        const call = at(part, 'functionCall');
        if (call !== undefined)
          return [{ kind: 'tool', name: textOf(call, 'name') ?? '', text: JSON.stringify(at(call, 'args')) }];
        return piece(at(part, 'thought') === true ? 'thinking' : 'text', textOf(part, 'text'));
      }),
      ...stopOf(textOf(candidate, 'finishReason')),
    ]),
    ...stopOf(textOf(at(data, 'promptFeedback'), 'blockReason')),
    ...faultOf(at(data, 'error')),
  ];
}

/** Its streams are binary frames of AWS, which no browser reads: whole answers only. */
const converse: FormatSpec = {
  id: 'bedrock_converse',
  label: 'Bedrock Converse',
  canStream: false,
  path: ({ model }) => `/model/${encodeURIComponent(model)}/converse`,
  body: ({ system, turns, maxTokens, temperature }) => ({
    messages: turns.map(({ role, text }) => ({ role, content: [{ text }] })),
    ...(system === '' ? {} : { system: [{ text: system }] }),
    ...(maxTokens === null && temperature === null
      ? {}
      : {
          inferenceConfig: { ...optional('maxTokens', maxTokens), ...optional('temperature', temperature) },
        }),
  }),
  ofEvent: () => [],
  ofAnswer: (data) => [
    ...listOf(at(at(data, 'output'), 'message'), 'content').flatMap((block): readonly Piece[] => {
      const call = at(block, 'toolUse');
      if (call !== undefined)
        return [{ kind: 'tool', name: textOf(call, 'name') ?? '', text: JSON.stringify(at(call, 'input')) }];
      const thought = textOf(at(at(block, 'reasoningContent'), 'reasoningText'), 'text');
      return [...piece('thinking', thought), ...piece('text', textOf(block, 'text'))];
    }),
    ...stopOf(textOf(data, 'stopReason')),
  ],
};

export const FORMATS: Readonly<Record<FormatId, FormatSpec>> = {
  openai_chat: chat,
  openai_responses: responses,
  anthropic_messages: messages,
  gemini_generate_content: gemini,
  bedrock_converse: converse,
};

/** The words of a refusal in any dialect; null where there are none. */
export function refusalText(data: unknown): string | null {
  const error = at(data, 'error');
  return (
    textOf(error, 'message') ??
    textOf(data, 'message') ??
    textOf(data, 'detail') ??
    (typeof error === 'string' ? error : null)
  );
}

function optional(name: string, value: number | null): Record<string, number> {
  return value === null ? {} : { [name]: value };
}

function piece(kind: 'text' | 'thinking', text: string | null): readonly Piece[] {
  return text === null || text === '' ? [] : [{ kind, text }];
}

function toolPiece(call: unknown): Piece {
  return { kind: 'tool', name: textOf(call, 'name'), text: textOf(call, 'arguments') ?? '' };
}

function stopOf(reason: string | null): readonly Piece[] {
  return reason === null ? [] : [{ kind: 'stop', reason }];
}

function faultOf(error: unknown): readonly Piece[] {
  const message = typeof error === 'string' ? error : textOf(error, 'message');
  return message === null ? [] : [{ kind: 'fault', message }];
}

function at(value: unknown, name: string): unknown {
  if (typeof value !== 'object' || value === null || !Object.hasOwn(value, name)) return undefined;
  return Object.entries(value).find(([key]) => key === name)?.[1];
}

function textOf(value: unknown, name: string): string | null {
  const text = at(value, name);
  return typeof text === 'string' ? text : null;
}

function listOf(value: unknown, name: string): readonly unknown[] {
  const list = at(value, name);
  return Array.isArray(list) ? list : [];
}
