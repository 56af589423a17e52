/** A request for every route of the LLM surface, with the same words in each: for rules that must hold on all of them. */
import { readFileSync } from 'node:fs';
import { form, KINDS, type Answer, type Json, type Send } from './object-kinds.ts';
import type { CallOptions } from './harness.ts';

/** In every request that carries text. */
export const SECRET_WORD = 'LAUNCHCODE';

export interface RouteRequest {
  /** As in `src/llm/surfaces.ts`: the whole path, or prefix and action of an object. */
  readonly route: string;
  readonly path: string;
  readonly method?: string;
  readonly body?: CallOptions['body'];
  readonly headers?: Readonly<Record<string, string>>;
}

const ANTHROPIC = { 'anthropic-version': '2023-06-01' };
const TEXT = `say ${SECRET_WORD}`;
const SCHEMA = { type: 'object', properties: {} };
const MESSAGES = [{ role: 'user', content: TEXT }];
const GPT = 'gpt-fake--tool-call';
const CHAT_TOOLS = [{ type: 'function', function: { name: 'weather', parameters: SCHEMA } }];
const RESPONSES_TOOLS = [{ type: 'function', name: 'weather', parameters: SCHEMA }];
const CLAUDE = {
  max_tokens: 20,
  tools: [{ name: 'weather', input_schema: SCHEMA }],
  messages: MESSAGES,
};
const CONTENTS = [{ role: 'user', parts: [{ text: TEXT }] }];
const GEMINI = {
  contents: CONTENTS,
  tools: [{ functionDeclarations: [{ name: 'weather', parameters: SCHEMA }] }],
};
const BEDROCK_MODEL = 'us.anthropic.claude-fake--tool-call';
const CONVERSE = {
  messages: [{ role: 'user', content: [{ text: TEXT }] }],
  toolConfig: { tools: [{ toolSpec: { name: 'weather', inputSchema: { json: SCHEMA } } }] },
};
const BATCH_LINE = {
  custom_id: 'a',
  method: 'POST',
  url: '/v1/chat/completions',
  body: { model: 'gpt-5', messages: MESSAGES },
};

const formed = (
  route: string,
  parts: Parameters<typeof form>[0],
  headers: Record<string, string> = {},
): RouteRequest => {
  const { body, headers: own } = form(parts);
  return { route, path: route, body, headers: { ...own, ...headers } };
};
const plain = (route: string, body: Json, more: Partial<RouteRequest> = {}): RouteRequest => ({
  route,
  path: route,
  body,
  ...more,
});

/** Those that name a model, make an object or list some. */
export const FIXED_ROUTES: readonly RouteRequest[] = [
  ...[false, true].flatMap((stream): RouteRequest[] => [
    plain('/v1/chat/completions', { model: GPT, messages: MESSAGES, tools: CHAT_TOOLS, stream }),
    plain('/v1/completions', { model: 'gpt-fake', prompt: TEXT, stream }),
    plain('/v1/responses', { model: GPT, input: TEXT, tools: RESPONSES_TOOLS, stream }),
    plain('/v1/messages', { model: 'claude-fake--tool-call', ...CLAUDE, stream }, { headers: ANTHROPIC }),
    plain('/v1/images/generations', { model: 'gpt-image-fake', prompt: TEXT, stream }),
    plain('/v1/audio/speech', {
      model: 'gpt-tts-fake',
      input: TEXT,
      voice: 'alloy',
      ...(stream ? { stream_format: 'sse' } : {}),
    }),
  ]),
  plain('/v1/responses', { model: GPT, input: TEXT, tools: RESPONSES_TOOLS, background: true }),
  plain('/v1/responses', { model: GPT, input: TEXT, tools: RESPONSES_TOOLS, background: true, stream: true }),
  plain('/v1/responses/compact', { model: 'gpt-fake', input: TEXT }),
  plain('/v1/responses/input_tokens', { model: 'gpt-fake', input: TEXT }),
  plain('/v1/embeddings', { model: 'text-embedding-fake', input: TEXT }),
  plain('/v1/moderations', { model: 'gpt-fake', input: TEXT }),
  formed('/v1/images/edits', [
    ['model', 'gpt-image-fake'],
    ['prompt', TEXT],
    ['image', 'png', 'a.png'],
  ]),
  formed('/v1/images/variations', [
    ['model', 'gpt-image-fake'],
    ['image', 'png', 'a.png'],
  ]),
  formed('/v1/audio/transcriptions', [
    ['model', 'gpt-fake'],
    ['prompt', TEXT],
    ['file', 'wav', 'a.wav'],
  ]),
  formed('/v1/audio/translations', [
    ['model', 'gpt-fake'],
    ['prompt', TEXT],
    ['file', 'wav', 'a.wav'],
  ]),
  formed('/v1/files', [
    ['purpose', 'batch'],
    ['file', JSON.stringify(BATCH_LINE), 'in.jsonl'],
  ]),
  formed('/v1/files', [['file', TEXT, 'a.txt']], ANTHROPIC),
  { route: '/v1/files', path: '/v1/files' },
  plain('/v1/uploads', { purpose: 'user_data', filename: TEXT, bytes: 1, mime_type: 'text/plain' }),
  { route: '/v1/batches', path: '/v1/batches' },
  plain('/v1/conversations', { items: [{ type: 'message', role: 'user', content: TEXT }] }),
  plain('/v1/containers', { name: 'c' }),
  { route: '/v1/containers', path: '/v1/containers' },
  plain('/v1/messages/count_tokens', { model: 'claude-fake', messages: MESSAGES }, { headers: ANTHROPIC }),
  plain(
    '/v1/messages/batches',
    { requests: [{ custom_id: '1', params: { model: 'claude-fake', ...CLAUDE } }] },
    { headers: ANTHROPIC },
  ),
  { route: '/v1/messages/batches', path: '/v1/messages/batches', headers: ANTHROPIC },
  { route: '/v1/models', path: '/v1/models' },
  { route: '/v1beta/models', path: '/v1beta/models' },
  plain('/v1beta/cachedContents', { model: 'models/gemini-2.5-pro', contents: CONTENTS }),
  { route: '/v1beta/cachedContents', path: '/v1beta/cachedContents' },
  { route: '/api/hello', path: '/api/hello' },
  { route: '/inference-profiles', path: '/inference-profiles' },
  { route: '/bedrock/inference-profiles', path: '/bedrock/inference-profiles' },
];

const gemini = (action: string, body: object, query = ''): RouteRequest => ({
  route: `gemini:${action}`,
  path: `/v1beta/models/gemini-fake--tool-call:${action}${query}`,
  body,
});
const vertex = (action: string, body: object, model = 'gemini-2.5-pro'): RouteRequest => ({
  route: `vertex:${action}`,
  path: `/v1/publishers/${model.startsWith('claude') ? 'anthropic' : 'google'}/models/${model}:${action}`,
  body,
});
const bedrock = (action: string, body: object): RouteRequest => ({
  route: `bedrock:${action}`,
  path: `/bedrock/model/${BEDROCK_MODEL}/${action}`,
  body,
});
const EMBED = { content: { parts: [{ text: TEXT }] } };
const INVOKE = { anthropic_version: 'bedrock-2023-05-31', ...CLAUDE };
const RAW_PREDICT = { anthropic_version: 'vertex-2023-10-16', ...CLAUDE };
export const VERTEX_CLAUDE = 'claude-sonnet-4-5@20250929';

/** Those with the model and an action in the path. */
export const MODEL_ROUTES: readonly RouteRequest[] = [
  gemini('generateContent', GEMINI),
  gemini('streamGenerateContent', GEMINI, '?alt=sse'),
  gemini('streamGenerateContent', GEMINI),
  gemini('countTokens', { contents: CONTENTS }),
  gemini('embedContent', EMBED),
  gemini('batchEmbedContents', { requests: [{ model: 'models/gemini-fake--tool-call', ...EMBED }] }),
  vertex('generateContent', GEMINI),
  vertex('streamGenerateContent', GEMINI),
  vertex('rawPredict', RAW_PREDICT, VERTEX_CLAUDE),
  vertex('streamRawPredict', { ...RAW_PREDICT, stream: true }, VERTEX_CLAUDE),
  bedrock('invoke', INVOKE),
  bedrock('invoke-with-response-stream', INVOKE),
  bedrock('converse', CONVERSE),
  bedrock('converse-stream', CONVERSE),
];

/** Makes one object of each kind and gives every way to reach it, as long as no rule hinders. */
export async function objectRoutes(send: Send): Promise<RouteRequest[]> {
  const requests: RouteRequest[] = [];
  for (const kind of KINDS) {
    const sendAs: Send = (path, options = {}) =>
      send(path, { ...options, headers: { ...options.headers, ...kind.headers } });
    const id = await kind.make(sendAs);
    const headers = kind.headers ?? {};
    for (const [method, path, body] of kind.paths) {
      const withText =
        body !== undefined && 'items' in body
          ? { items: [{ type: 'message', role: 'user', content: TEXT }] }
          : body;
      requests.push({
        route: routeOf(path(id), id),
        path: path(id),
        method,
        headers,
        ...(withText === undefined ? {} : { body: withText }),
      });
    }
    for (const [path, body] of kind.bodies)
      requests.push({ route: path, path, headers, body: withWord(body(id)) });
  }
  return requests;
}

/** What is read again under rules: a stored response, streamed too, with what it was asked. */
export async function storedResponse(send: Send): Promise<RouteRequest[]> {
  const body = { model: GPT, input: TEXT, tools: RESPONSES_TOOLS };
  const made: Answer = await send('/v1/responses', { body });
  const id = String((JSON.parse(made.text) as Json)['id']);
  return ['', '?stream=true', '?include[]=x', '/input_items'].map((rest) => ({
    route: 'stored response',
    path: `/v1/responses/${id}${rest}`,
    method: 'GET',
  }));
}

function routeOf(path: string, id: string): string {
  return path.replace(id, '{id}');
}

/** The word where the request has a text of its own. */
function withWord(body: Json): Json {
  const text = JSON.stringify(body).replaceAll('"hi"', `"${TEXT}"`).replaceAll('"go on"', `"${TEXT}"`);
  return JSON.parse(text) as Json;
}

/** The fixed paths and the actions that the routes have, by their source: a new one must be added here. */
export function routesOfSource(): { readonly fixed: readonly string[]; readonly actions: readonly string[] } {
  const source = readFileSync(new URL('../../src/llm/surfaces.ts', import.meta.url), 'utf8');
  const table = source.slice(source.indexOf('const FIXED'), source.indexOf('interface ReadyMatches'));
  const fixed = [...table.matchAll(/^ {2}\[\s*'(\/[^']+)',/gm)].map(([, path]) => path ?? '');
  const models = source.slice(source.indexOf('const GEMINI_ACTIONS'), source.indexOf('const VERTEX_PATH'));
  const actions = [...models.matchAll(/^ {2}'?([A-Za-z-]+)'?: \{ format:/gm)].map(
    ([, action]) => action ?? '',
  );
  return { fixed, actions };
}
