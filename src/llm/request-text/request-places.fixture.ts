/** Every place where a request of each format can hold text, for the tests of the walker. */
import type { Format } from '../surface.ts';

/** Has signs that JSON escapes, and some beyond ASCII. */
export const NEEDLE = 'pläne "für" morgen\n@';

/** A place in a body, and what is expected of a text there: direction, role, `sealed` if it must not be edited. */
export type Place = readonly [place: string, body: object, expected: string];

const CHAT: readonly Place[] = [
  ['system', { messages: [{ role: 'system', content: NEEDLE }] }, 'request system'],
  ['developer, role last', { messages: [{ content: NEEDLE, role: 'developer' }] }, 'request developer'],
  ['user part', { messages: [{ role: 'user', content: [{ type: 'text', text: NEEDLE }] }] }, 'request user'],
  ['assistant', { messages: [{ role: 'assistant', content: NEEDLE }] }, 'request assistant'],
  ['refusal', { messages: [{ role: 'assistant', refusal: NEEDLE }] }, 'request assistant'],
  ['name', { messages: [{ role: 'user', name: NEEDLE, content: '' }] }, 'request user'],
  ['tool', { messages: [{ role: 'tool', tool_call_id: 'c', content: NEEDLE }] }, 'tool_results tool'],
  ['function', { messages: [{ role: 'function', name: 'f', content: NEEDLE }] }, 'tool_results tool'],
  [
    'arguments',
    {
      messages: [
        {
          role: 'assistant',
          tool_calls: [
            {
              id: 'c',
              type: 'function',
              function: { name: 'f', arguments: JSON.stringify({ a: [{ b: NEEDLE }] }) },
            },
          ],
        },
      ],
    },
    'tool_arguments assistant',
  ],
  [
    'a key of arguments',
    {
      messages: [
        {
          role: 'assistant',
          tool_calls: [{ function: { name: 'f', arguments: JSON.stringify({ [NEEDLE]: 1 }) } }],
        },
      ],
    },
    'tool_arguments assistant',
  ],
  [
    'arguments that are no JSON',
    { messages: [{ role: 'assistant', tool_calls: [{ function: { name: 'f', arguments: NEEDLE } }] }] },
    'tool_arguments assistant',
  ],
  [
    'old function call',
    {
      messages: [
        { role: 'assistant', function_call: { name: 'f', arguments: JSON.stringify({ a: NEEDLE }) } },
      ],
    },
    'tool_arguments assistant',
  ],
  [
    'custom call',
    {
      messages: [
        { role: 'assistant', tool_calls: [{ type: 'custom', custom: { name: 'f', input: NEEDLE } }] },
      ],
    },
    'tool_arguments assistant',
  ],
  [
    'nested JSON of a tool',
    { messages: [{ role: 'tool', content: JSON.stringify({ a: NEEDLE }) }] },
    'tool_results tool',
  ],
  [
    'tool description',
    { tools: [{ type: 'function', function: { name: 'f', description: NEEDLE } }] },
    'request declaration',
  ],
  [
    'schema default',
    {
      tools: [
        { type: 'function', function: { name: 'f', parameters: { properties: { a: { default: NEEDLE } } } } },
      ],
    },
    'request declaration',
  ],
  ['prediction', { prediction: { type: 'content', content: NEEDLE } }, 'request other'],
  ['user id', { user: NEEDLE }, 'request other'],
  ['metadata', { metadata: { a: NEEDLE } }, 'request other'],
  [
    'an unknown block',
    { messages: [{ role: 'user', content: [{ type: 'new', wisdom: { deep: [NEEDLE] } }] }] },
    'request user',
  ],
  ['a type that is text', { messages: [{ role: 'user', content: [{ type: NEEDLE }] }] }, 'request user'],
  ['an id that is text', { messages: [{ role: 'user', id: NEEDLE }] }, 'request user'],
  ['a key', { messages: [{ role: 'user', [NEEDLE]: 1 }] }, 'request user'],
  [
    'a file that is text',
    { messages: [{ role: 'user', content: [{ type: 'file', file: { file_data: NEEDLE } }] }] },
    'request user',
  ],
  [
    'an address that is text',
    { messages: [{ role: 'user', content: [{ type: 'image_url', image_url: { url: NEEDLE } }] }] },
    'request user',
  ],
];

const ANTHROPIC: readonly Place[] = [
  ['system', { system: NEEDLE }, 'request system'],
  ['system blocks', { system: [{ type: 'text', text: NEEDLE }] }, 'request system'],
  ['user', { messages: [{ role: 'user', content: NEEDLE }] }, 'request user'],
  ['a block', { messages: [{ role: 'user', content: [{ type: 'text', text: NEEDLE }] }] }, 'request user'],
  [
    'tool result',
    { messages: [{ role: 'user', content: [{ type: 'tool_result', tool_use_id: 't', content: NEEDLE }] }] },
    'tool_results tool',
  ],
  [
    'tool result, type last',
    {
      messages: [
        { role: 'user', content: [{ content: [{ text: NEEDLE, type: 'text' }], type: 'tool_result' }] },
      ],
    },
    'tool_results tool',
  ],
  [
    'MCP result',
    {
      messages: [
        { role: 'user', content: [{ type: 'mcp_tool_result', content: [{ type: 'text', text: NEEDLE }] }] },
      ],
    },
    'tool_results tool',
  ],
  [
    'tool use',
    {
      messages: [
        {
          role: 'assistant',
          content: [{ type: 'tool_use', id: 't', name: 'f', input: { a: { type: NEEDLE } } }],
        },
      ],
    },
    'tool_arguments assistant',
  ],
  [
    'thinking',
    { messages: [{ role: 'assistant', content: [{ type: 'thinking', thinking: NEEDLE, signature: 's' }] }] },
    'request assistant sealed',
  ],
  [
    'document text',
    {
      messages: [
        {
          role: 'user',
          content: [
            {
              type: 'document',
              source: { type: 'text', media_type: 'text/plain', data: NEEDLE },
              title: 't',
            },
          ],
        },
      ],
    },
    'request user',
  ],
  [
    'document title',
    { messages: [{ role: 'user', content: [{ type: 'document', title: NEEDLE }] }] },
    'request user',
  ],
  [
    'search result',
    { messages: [{ role: 'user', content: [{ type: 'search_result', source: NEEDLE, content: [] }] }] },
    'tool_results tool',
  ],
  [
    'tool description',
    { tools: [{ name: 'f', description: NEEDLE, input_schema: {} }] },
    'request declaration',
  ],
  ['MCP server', { mcp_servers: [{ name: 'x', authorization_token: NEEDLE }] }, 'request declaration'],
];

const RESPONSES: readonly Place[] = [
  ['input', { input: NEEDLE }, 'request user'],
  ['instructions', { instructions: NEEDLE }, 'request system'],
  ['message', { input: [{ role: 'user', content: [{ type: 'input_text', text: NEEDLE }] }] }, 'request user'],
  ['developer', { input: [{ type: 'message', role: 'developer', content: NEEDLE }] }, 'request developer'],
  [
    'output text',
    { input: [{ type: 'message', role: 'assistant', content: [{ type: 'output_text', text: NEEDLE }] }] },
    'request assistant',
  ],
  [
    'call',
    { input: [{ type: 'function_call', call_id: 'c', name: 'f', arguments: JSON.stringify({ a: NEEDLE }) }] },
    'tool_arguments assistant',
  ],
  ['custom call', { input: [{ type: 'custom_tool_call', input: NEEDLE }] }, 'tool_arguments assistant'],
  [
    'shell call',
    { input: [{ type: 'local_shell_call', action: { command: ['echo', NEEDLE] } }] },
    'tool_arguments assistant',
  ],
  [
    'output',
    { input: [{ type: 'function_call_output', call_id: 'c', output: NEEDLE }] },
    'tool_results tool',
  ],
  [
    'output parts',
    { input: [{ output: [{ type: 'input_text', text: NEEDLE }], type: 'custom_tool_call_output' }] },
    'tool_results tool',
  ],
  [
    'reasoning',
    { input: [{ type: 'reasoning', summary: [{ type: 'summary_text', text: NEEDLE }] }] },
    'request user sealed',
  ],
  ['prompt variables', { prompt: { id: 'p', variables: { a: NEEDLE } } }, 'request user'],
];

const GEMINI: readonly Place[] = [
  ['contents', { contents: [{ role: 'user', parts: [{ text: NEEDLE }] }] }, 'request user'],
  ['no role', { contents: [{ parts: [{ text: NEEDLE }] }] }, 'request user'],
  [
    'model',
    { contents: [{ role: 'model', parts: [{ text: NEEDLE, thoughtSignature: 'x' }] }] },
    'request assistant',
  ],
  [
    'thought',
    { contents: [{ role: 'model', parts: [{ text: NEEDLE, thought: true }] }] },
    'request assistant sealed',
  ],
  ['system', { systemInstruction: { parts: [{ text: NEEDLE }] } }, 'request system'],
  ['system in snake case', { system_instruction: { parts: [{ text: NEEDLE }] } }, 'request system'],
  [
    'call',
    { contents: [{ role: 'model', parts: [{ functionCall: { name: 'f', args: { id: NEEDLE } } }] }] },
    'tool_arguments assistant',
  ],
  [
    'response',
    { contents: [{ role: 'user', parts: [{ functionResponse: { name: 'f', response: { id: NEEDLE } } }] }] },
    'tool_results tool',
  ],
  ['function role', { contents: [{ role: 'function', parts: [{ text: NEEDLE }] }] }, 'tool_results tool'],
  [
    'code',
    { contents: [{ role: 'model', parts: [{ executableCode: { code: NEEDLE } }] }] },
    'tool_arguments assistant',
  ],
  [
    'code result',
    { contents: [{ role: 'model', parts: [{ code_execution_result: { output: NEEDLE } }] }] },
    'tool_results tool',
  ],
  [
    'declaration',
    { tools: [{ functionDeclarations: [{ name: 'f', description: NEEDLE }] }] },
    'request declaration',
  ],
  ['embedding', { content: { parts: [{ text: NEEDLE }] }, title: 't' }, 'request user'],
  ['many embeddings', { requests: [{ content: { parts: [{ text: NEEDLE }] } }] }, 'request other'],
  [
    'a count',
    { generateContentRequest: { contents: [{ role: 'user', parts: [{ text: NEEDLE }] }] } },
    'request user',
  ],
];

const CONVERSE: readonly Place[] = [
  ['system', { system: [{ text: NEEDLE }] }, 'request system'],
  ['user', { messages: [{ role: 'user', content: [{ text: NEEDLE }] }] }, 'request user'],
  [
    'tool use',
    {
      messages: [
        { role: 'assistant', content: [{ toolUse: { toolUseId: 't', name: 'f', input: { a: NEEDLE } } }] },
      ],
    },
    'tool_arguments assistant',
  ],
  [
    'tool result',
    {
      messages: [
        { role: 'user', content: [{ toolResult: { toolUseId: 't', content: [{ text: NEEDLE }] } }] },
      ],
    },
    'tool_results tool',
  ],
  [
    'tool result JSON',
    { messages: [{ role: 'user', content: [{ toolResult: { content: [{ json: { id: NEEDLE } }] } }] }] },
    'tool_results tool',
  ],
  [
    'reasoning',
    {
      messages: [
        {
          role: 'assistant',
          content: [{ reasoningContent: { reasoningText: { text: NEEDLE, signature: 's' } } }],
        },
      ],
    },
    'request assistant sealed',
  ],
  [
    'guard content',
    { messages: [{ role: 'user', content: [{ guardContent: { text: { text: NEEDLE } } }] }] },
    'request user',
  ],
  [
    'tool description',
    { toolConfig: { tools: [{ toolSpec: { name: 'f', description: NEEDLE } }] } },
    'request declaration',
  ],
  ['prompt variables', { promptVariables: { a: { text: NEEDLE } } }, 'request other'],
];

const SIMPLE: readonly Place[] = [
  ['prompt', { prompt: NEEDLE }, 'request user'],
  ['prompts', { prompt: ['a', NEEDLE] }, 'request user'],
  ['input', { input: NEEDLE }, 'request user'],
  ['inputs', { input: [NEEDLE] }, 'request user'],
  ['input parts', { input: [{ type: 'text', text: NEEDLE }] }, 'request user'],
  ['instructions', { input: 'x', instructions: NEEDLE }, 'request system'],
  ['suffix', { suffix: NEEDLE }, 'request other'],
  ['inputText', { inputText: NEEDLE }, 'request user'],
  ['instances', { instances: [{ prompt: NEEDLE }] }, 'request user'],
  ['anything else', { whatever: { deep: [[NEEDLE]] } }, 'request other'],
];

const ITEMS: readonly Place[] = [
  ['an item', { items: [{ type: 'message', role: 'user', content: NEEDLE }] }, 'request user'],
];
const BATCH: readonly Place[] = [
  [
    'a message',
    { requests: [{ custom_id: 'a', params: { messages: [{ role: 'user', content: NEEDLE }] } }] },
    'request user',
  ],
];

/** Every format of the surface that has a body of text. */
export const PLACES: Readonly<Record<Format, readonly Place[] | null>> = {
  openai_chat: CHAT,
  openai_completions: SIMPLE,
  openai_responses: RESPONSES,
  openai_embeddings: SIMPLE,
  openai_images: SIMPLE,
  openai_audio_speech: SIMPLE,
  openai_audio_transcription: SIMPLE,
  openai_moderations: SIMPLE,
  openai_files: null,
  openai_batches: null,
  openai_objects: ITEMS,
  anthropic_messages: ANTHROPIC,
  anthropic_count_tokens: ANTHROPIC,
  anthropic_batches: BATCH,
  anthropic_files: null,
  gemini_generate_content: GEMINI,
  gemini_count_tokens: GEMINI,
  gemini_embed_content: GEMINI,
  gemini_caches: GEMINI,
  google_generate_content: GEMINI,
  google_raw_predict: [...ANTHROPIC, ...SIMPLE],
  bedrock_model_invoke: [...ANTHROPIC, ...SIMPLE],
  bedrock_converse: CONVERSE,
  models: null,
};
