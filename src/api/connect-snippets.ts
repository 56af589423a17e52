/**
 * What to write into each client so that it talks to Postern: pure text from an address, a model
 * and a credential. The command line (`postern connect`, `postern run`) and the first page print
 * the same settings from here.
 *
 * Sources: each client's own documentation and runs of the real programs without outside access.
 * Base URLs differ: Claude Code, the Anthropic SDK and Google's clients append `/v1` or `/v1beta`
 * themselves; Codex, OpenCode, the OpenAI SDK and the AI SDK want it written.
 */

/** Every client that `postern connect` knows, in the order of its listing. */
export const CLIENT_NAMES = [
  'claude',
  'codex',
  'gemini',
  'opencode',
  'cursor',
  'openai-sdk',
  'anthropic-sdk',
  'google-genai',
  'ai-sdk',
  'curl',
] as const;

export type ClientName = (typeof CLIENT_NAMES)[number];

/** The wire formats that clients speak; names as in `SurfaceMatch.format`. */
export type ClientFormat =
  | 'anthropic_messages'
  | 'openai_responses'
  | 'openai_chat'
  | 'gemini_generate_content';

/** What a client sends as its key when the network already says who calls. Ignored and stripped. */
export const NO_CREDENTIAL = '-';

export interface ClientSettingsInput {
  /** Postern's origin (`http://localhost:8080`), without a path. A trailing slash is dropped. */
  readonly baseUrl: string;
  /** The model to write down, used where `models` has none for a client's format. */
  readonly model: string;
  /** A better model for one format. */
  readonly models?: Readonly<Partial<Record<ClientFormat, string>>>;
  /** A Postern token where one is needed. Default `NO_CREDENTIAL`. */
  readonly credential?: string;
  /** Postern's Unix socket, if curl should use it in place of the address. */
  readonly socketPath?: string;
}

/** A file that a client reads, with the part that concerns Postern. */
export interface ClientFile {
  /** As a person would type it, with `~`. */
  readonly path: string;
  readonly language: 'toml' | 'json';
  readonly text: string;
}

/** Everything one client needs. */
export interface ClientSettings {
  readonly client: ClientName;
  readonly title: string;
  readonly format: ClientFormat;
  /** The address as this client wants it written. */
  readonly baseUrl: string;
  readonly model: string;
  /** Variables to set before starting it; empty where a file or code says it all. */
  readonly environment: Readonly<Record<string, string>>;
  readonly files: readonly ClientFile[];
  /** Ready to paste: a shell session, or a program. */
  readonly snippet: { readonly language: 'sh' | 'ts' | 'text'; readonly text: string };
  /** What to know before using it. */
  readonly notes: readonly string[];
}

/** The settings of every client, in the order of `CLIENT_NAMES`. */
export function clientSettings(input: ClientSettingsInput): readonly ClientSettings[] {
  return CLIENT_NAMES.map((client) => settingsFor(client, input));
}

/** The settings of one client. Pure; never throws. */
export function settingsFor(client: ClientName, input: ClientSettingsInput): ClientSettings {
  return BUILDERS[client]({
    origin: input.baseUrl.replace(/\/+$/, ''),
    credential: input.credential ?? NO_CREDENTIAL,
    model: (format) => input.models?.[format] ?? input.model,
    socketPath: input.socketPath ?? null,
  });
}

/** One word or text for a POSIX shell. */
export function shellQuote(text: string): string {
  return /^[\w@%+=:,./-]+$/.test(text) ? text : `'${text.replaceAll("'", `'\\''`)}'`;
}

/** Codex's `config.toml`; also what `postern run codex` writes. */
export function codexConfig(options: {
  readonly baseUrl: string;
  readonly model: string;
  readonly quiet: boolean;
}): string {
  // A JSON string is a TOML basic string.
  const head = `model = ${JSON.stringify(options.model)}
model_provider = "postern"
`;
  const provider = `
[model_providers.postern]
name = "Postern"
base_url = ${JSON.stringify(options.baseUrl)}
env_key = "POSTERN_KEY"
wire_api = "responses"
`;
  if (!options.quiet) return head + provider;
  const quiet = `
[analytics]
enabled = false

[features]
plugins = false
apps = false
`;
  return `${head}check_for_update_on_startup = false\n${provider}${quiet}`;
}

/** OpenCode's `opencode.json`; also what `postern run opencode` writes. */
export function openCodeConfig(options: {
  readonly baseUrl: string;
  readonly model: string;
  readonly credential: string;
  readonly quiet: boolean;
}): Record<string, unknown> {
  return {
    ...(options.quiet ? { autoupdate: false, share: 'disabled', enabled_providers: ['postern'] } : {}),
    model: `postern/${options.model}`,
    small_model: `postern/${options.model}`,
    provider: {
      postern: {
        npm: '@ai-sdk/openai-compatible',
        name: 'Postern',
        options: { baseURL: options.baseUrl, apiKey: options.credential },
        models: { [options.model]: {} },
      },
    },
  };
}

/** In the printed programs. As a value, so that the rule against writing to the console sees calls only. */
const PRINT = 'console.log';

/** What a builder works from. */
interface Parts {
  readonly origin: string;
  readonly credential: string;
  readonly model: (format: ClientFormat) => string;
  readonly socketPath: string | null;
}

const BUILDERS: Readonly<Record<ClientName, (parts: Parts) => ClientSettings>> = {
  claude,
  codex,
  gemini,
  opencode,
  cursor,
  'openai-sdk': openAiSdk,
  'anthropic-sdk': anthropicSdk,
  'google-genai': googleGenAi,
  'ai-sdk': aiSdk,
  curl,
};

function claude(parts: Parts): ClientSettings {
  const model = parts.model('anthropic_messages');
  const environment = { ANTHROPIC_BASE_URL: parts.origin, ANTHROPIC_AUTH_TOKEN: parts.credential };
  return {
    client: 'claude',
    title: 'Claude Code',
    format: 'anthropic_messages',
    baseUrl: parts.origin,
    model,
    environment,
    files: [{ path: '~/.claude/settings.json', language: 'json', text: json({ env: environment, model }) }],
    snippet: { language: 'sh', text: shell(environment, `claude --model ${shellQuote(model)}`) },
    notes: [
      'The address has no /v1: Claude Code adds it.',
      'Either the variables or the file will do. Unset ANTHROPIC_API_KEY, which Claude Code would ask about.',
    ],
  };
}

function codex(parts: Parts): ClientSettings {
  const model = parts.model('openai_responses');
  const baseUrl = `${parts.origin}/v1`;
  const environment = { POSTERN_KEY: parts.credential };
  return {
    client: 'codex',
    title: 'Codex',
    format: 'openai_responses',
    baseUrl,
    model,
    environment,
    files: [
      { path: '~/.codex/config.toml', language: 'toml', text: codexConfig({ baseUrl, model, quiet: false }) },
    ],
    snippet: { language: 'sh', text: shell(environment, 'codex') },
    notes: ['Codex wants a variable to read its key from, even where no key is needed.'],
  };
}

function gemini(parts: Parts): ClientSettings {
  const model = parts.model('gemini_generate_content');
  const environment = { GOOGLE_GEMINI_BASE_URL: parts.origin, GEMINI_API_KEY: parts.credential };
  return {
    client: 'gemini',
    title: 'Gemini CLI',
    format: 'gemini_generate_content',
    baseUrl: parts.origin,
    model,
    environment,
    files: [
      {
        path: '~/.gemini/settings.json',
        language: 'json',
        text: json({ security: { auth: { selectedType: 'gemini-api-key' } } }),
      },
    ],
    snippet: { language: 'sh', text: shell(environment, `gemini -m ${shellQuote(model)}`) },
    notes: [
      'The address has no /v1beta: Gemini CLI adds it.',
      'Without -m it first asks a second model which one to use, and that model must be granted too.',
    ],
  };
}

function opencode(parts: Parts): ClientSettings {
  const model = parts.model('openai_chat');
  const baseUrl = `${parts.origin}/v1`;
  const config = {
    $schema: 'https://opencode.ai/config.json',
    ...openCodeConfig({ baseUrl, model, credential: parts.credential, quiet: false }),
  };
  return {
    client: 'opencode',
    title: 'OpenCode',
    format: 'openai_chat',
    baseUrl,
    model,
    environment: {},
    files: [{ path: '~/.config/opencode/opencode.json', language: 'json', text: json(config) }],
    snippet: { language: 'sh', text: `opencode -m ${shellQuote(`postern/${model}`)}` },
    notes: ['The first `postern/` is the name of the provider in that file; the rest is the model.'],
  };
}

function cursor(parts: Parts): ClientSettings {
  const model = parts.model('openai_chat');
  const baseUrl = `${parts.origin}/v1`;
  return {
    client: 'cursor',
    title: 'Cursor',
    format: 'openai_chat',
    baseUrl,
    model,
    environment: {},
    files: [],
    snippet: {
      language: 'text',
      text: [
        'Settings > Models > API Keys',
        `  OpenAI API Key            ${parts.credential}`,
        `  Override OpenAI Base URL  ${baseUrl}`,
        `  Add model                 ${model}`,
      ].join('\n'),
    },
    notes: [
      "Cursor's own servers make the call, so a loopback or tailnet address does not work: it needs an address that they can reach, and a Postern token as the key.",
    ],
  };
}

function openAiSdk(parts: Parts): ClientSettings {
  const model = parts.model('openai_chat');
  const baseUrl = `${parts.origin}/v1`;
  return {
    client: 'openai-sdk',
    title: 'OpenAI SDK',
    format: 'openai_chat',
    baseUrl,
    model,
    environment: { OPENAI_BASE_URL: baseUrl, OPENAI_API_KEY: parts.credential },
    files: [],
    snippet: {
      language: 'ts',
      text: `import OpenAI from 'openai';

const client = new OpenAI({ baseURL: ${quote(baseUrl)}, apiKey: ${quote(parts.credential)} });
const answer = await client.chat.completions.create({
  model: ${quote(model)},
  messages: [{ role: 'user', content: 'hello' }],
});
${PRINT}(answer.choices[0]?.message.content);`,
    },
    notes: [
      'The two variables do the same for a program that you cannot change, in every language that the SDK has.',
    ],
  };
}

function anthropicSdk(parts: Parts): ClientSettings {
  const model = parts.model('anthropic_messages');
  return {
    client: 'anthropic-sdk',
    title: 'Anthropic SDK',
    format: 'anthropic_messages',
    baseUrl: parts.origin,
    model,
    environment: { ANTHROPIC_BASE_URL: parts.origin, ANTHROPIC_API_KEY: parts.credential },
    files: [],
    snippet: {
      language: 'ts',
      text: `import Anthropic from '@anthropic-ai/sdk';

const client = new Anthropic({ baseURL: ${quote(parts.origin)}, apiKey: ${quote(parts.credential)} });
const answer = await client.messages.create({
  model: ${quote(model)},
  max_tokens: 1024,
  messages: [{ role: 'user', content: 'hello' }],
});
${PRINT}(answer.content);`,
    },
    notes: ['The address has no /v1: the SDK adds it.'],
  };
}

function googleGenAi(parts: Parts): ClientSettings {
  const model = parts.model('gemini_generate_content');
  return {
    client: 'google-genai',
    title: 'Google Gen AI SDK',
    format: 'gemini_generate_content',
    baseUrl: parts.origin,
    model,
    environment: { GOOGLE_GEMINI_BASE_URL: parts.origin, GEMINI_API_KEY: parts.credential },
    files: [],
    snippet: {
      language: 'ts',
      text: `import { GoogleGenAI } from '@google/genai';

const client = new GoogleGenAI({ apiKey: ${quote(parts.credential)}, httpOptions: { baseUrl: ${quote(parts.origin)} } });
const answer = await client.models.generateContent({ model: ${quote(model)}, contents: 'hello' });
${PRINT}(answer.text);`,
    },
    notes: ['The address has no /v1beta: the SDK adds it.'],
  };
}

function aiSdk(parts: Parts): ClientSettings {
  const model = parts.model('openai_responses');
  const baseUrl = `${parts.origin}/v1`;
  return {
    client: 'ai-sdk',
    title: 'AI SDK',
    format: 'openai_responses',
    baseUrl,
    model,
    environment: {},
    files: [],
    snippet: {
      language: 'ts',
      text: `import { createOpenAI } from '@ai-sdk/openai';
import { generateText } from 'ai';

const postern = createOpenAI({ baseURL: ${quote(baseUrl)}, apiKey: ${quote(parts.credential)} });
const { text } = await generateText({ model: postern(${quote(model)}), prompt: 'hello' });
${PRINT}(text);`,
    },
    notes: [
      '@ai-sdk/anthropic takes the same address, with /v1. `postern.chat(…)` speaks Chat Completions in place of Responses.',
    ],
  };
}

function curl(parts: Parts): ClientSettings {
  const model = parts.model('openai_chat');
  const words = ['curl -sS'];
  if (parts.socketPath !== null) words.push(`--unix-socket ${shellQuote(parts.socketPath)}`);
  words.push(shellQuote(`${parts.origin}/v1/chat/completions`), "-H 'content-type: application/json'");
  if (parts.credential !== NO_CREDENTIAL)
    words.push(`-H ${shellQuote(`authorization: Bearer ${parts.credential}`)}`);
  words.push(`-d ${shellQuote(JSON.stringify({ model, messages: [{ role: 'user', content: 'hello' }] }))}`);
  return {
    client: 'curl',
    title: 'curl',
    format: 'openai_chat',
    baseUrl: parts.origin,
    model,
    environment: {},
    files: [],
    snippet: { language: 'sh', text: words.join(' ') },
    notes: [],
  };
}

function shell(environment: Readonly<Record<string, string>>, command: string): string {
  const lines = Object.entries(environment).map(([name, value]) => `export ${name}=${shellQuote(value)}`);
  return [...lines, command].join('\n');
}

function json(value: unknown): string {
  return `${JSON.stringify(value, null, 2)}\n`;
}

/** A TypeScript string in single quotes. */
function quote(text: string): string {
  return `'${JSON.stringify(text).slice(1, -1).replaceAll('\\"', '"').replaceAll("'", "\\'")}'`;
}
