/** Providers that the operator's environment holds keys for. The environment is the operator's configuration, so its base addresses count too. */
import { Secret } from '../base/secret.ts';

export interface FoundProvider {
  readonly id: string;
  readonly name: string;
  readonly baseUrl: string;
  /** `bearer`, `x-api-key`, `x-goog-api-key`, or `none` for a server that takes no key. */
  readonly header: string;
  /** Null where the server takes none. */
  readonly secret: Secret | null;
  /** Variable that held the key; for a server on this machine, its address and port. */
  readonly envName: string;
  /** Format flags. */
  readonly compatibility: readonly string[];
  readonly costBasis: string | null;
  /** Globs over upstream model ids. */
  readonly models: readonly string[];
}

interface KnownProvider {
  readonly id: string;
  readonly name: string;
  /** The first that is set wins. */
  readonly keys: readonly string[];
  readonly baseUrl: string;
  /** Variables with another address; the first that is set wins. */
  readonly baseUrlKeys: readonly string[];
  readonly header: 'bearer' | 'x-api-key' | 'x-goog-api-key';
  readonly compatibility: readonly string[];
  readonly costBasis: string | null;
  readonly models: readonly string[];
}

const CHAT = ['openai_chat'];
/** A house of many models: any id is passed on, but no bare name is taken from who names it exactly. */
const ANY = ['**'];

const KNOWN: readonly KnownProvider[] = [
  {
    id: 'anthropic',
    name: 'Anthropic',
    keys: ['ANTHROPIC_API_KEY'],
    baseUrl: 'https://api.anthropic.com',
    baseUrlKeys: ['ANTHROPIC_BASE_URL'],
    header: 'x-api-key',
    compatibility: ['anthropic_messages'],
    costBasis: 'anthropic',
    models: ['claude-*'],
  },
  {
    id: 'openai',
    name: 'OpenAI',
    keys: ['OPENAI_API_KEY'],
    baseUrl: 'https://api.openai.com',
    baseUrlKeys: ['OPENAI_BASE_URL'],
    header: 'bearer',
    compatibility: ['openai_chat', 'openai_responses'],
    costBasis: 'openai',
    models: [
      'gpt-*',
      'chatgpt-*',
      'o1*',
      'o3*',
      'o4*',
      'codex-*',
      'computer-use-*',
      'text-embedding-*',
      'omni-moderation-*',
      'text-moderation-*',
      'tts-*',
      'whisper-*',
      'dall-e-*',
      'sora-*',
      'ft:*',
      'davinci-*',
      'babbage-*',
    ],
  },
  {
    id: 'gemini',
    name: 'Google Gemini',
    keys: ['GEMINI_API_KEY', 'GOOGLE_API_KEY'],
    baseUrl: 'https://generativelanguage.googleapis.com',
    baseUrlKeys: ['GOOGLE_GEMINI_BASE_URL', 'GEMINI_BASE_URL'],
    header: 'x-goog-api-key',
    compatibility: ['gemini_generate_content'],
    costBasis: 'google',
    models: ['gemini-*', 'gemma-*', 'learnlm-*', 'text-embedding-004', 'embedding-*', 'imagen-*', 'veo-*'],
  },
  {
    id: 'openrouter',
    name: 'OpenRouter',
    keys: ['OPENROUTER_API_KEY'],
    baseUrl: 'https://openrouter.ai/api',
    baseUrlKeys: [],
    header: 'bearer',
    compatibility: CHAT,
    costBasis: 'openrouter',
    models: ANY,
  },
  {
    id: 'mistral',
    name: 'Mistral',
    keys: ['MISTRAL_API_KEY'],
    baseUrl: 'https://api.mistral.ai',
    baseUrlKeys: [],
    header: 'bearer',
    compatibility: CHAT,
    costBasis: null,
    models: [
      'mistral-*',
      'ministral-*',
      'magistral-*',
      'codestral-*',
      'devstral-*',
      'pixtral-*',
      'voxtral-*',
      'open-mi*',
    ],
  },
  {
    id: 'groq',
    name: 'Groq',
    keys: ['GROQ_API_KEY'],
    baseUrl: 'https://api.groq.com/openai',
    baseUrlKeys: [],
    header: 'bearer',
    compatibility: CHAT,
    costBasis: null,
    models: ANY,
  },
  {
    id: 'deepseek',
    name: 'DeepSeek',
    keys: ['DEEPSEEK_API_KEY'],
    baseUrl: 'https://api.deepseek.com',
    baseUrlKeys: [],
    header: 'bearer',
    compatibility: CHAT,
    costBasis: null,
    models: ['deepseek-*'],
  },
  {
    id: 'xai',
    name: 'xAI',
    keys: ['XAI_API_KEY'],
    baseUrl: 'https://api.x.ai',
    baseUrlKeys: [],
    header: 'bearer',
    compatibility: ['openai_chat', 'openai_responses'],
    costBasis: null,
    models: ['grok-*'],
  },
  {
    id: 'together',
    name: 'Together',
    keys: ['TOGETHER_API_KEY'],
    baseUrl: 'https://api.together.xyz',
    baseUrlKeys: [],
    header: 'bearer',
    compatibility: CHAT,
    costBasis: null,
    models: ANY,
  },
  {
    id: 'fireworks',
    name: 'Fireworks',
    keys: ['FIREWORKS_API_KEY'],
    baseUrl: 'https://api.fireworks.ai/inference',
    baseUrlKeys: [],
    header: 'bearer',
    compatibility: CHAT,
    costBasis: null,
    models: ['accounts/**'],
  },
  {
    id: 'cerebras',
    name: 'Cerebras',
    keys: ['CEREBRAS_API_KEY'],
    baseUrl: 'https://api.cerebras.ai',
    baseUrlKeys: [],
    header: 'bearer',
    compatibility: CHAT,
    costBasis: null,
    models: ANY,
  },
  {
    id: 'perplexity',
    name: 'Perplexity',
    keys: ['PERPLEXITY_API_KEY'],
    baseUrl: 'https://api.perplexity.ai',
    baseUrlKeys: [],
    header: 'bearer',
    compatibility: CHAT,
    costBasis: null,
    models: ['sonar*'],
  },
  {
    id: 'cohere',
    name: 'Cohere',
    keys: ['COHERE_API_KEY', 'CO_API_KEY'],
    baseUrl: 'https://api.cohere.ai/compatibility',
    baseUrlKeys: [],
    header: 'bearer',
    compatibility: CHAT,
    costBasis: null,
    models: ['command-*', 'embed-*'],
  },
  {
    id: 'moonshot',
    name: 'Moonshot',
    keys: ['MOONSHOT_API_KEY'],
    baseUrl: 'https://api.moonshot.ai',
    baseUrlKeys: [],
    header: 'bearer',
    compatibility: CHAT,
    costBasis: null,
    models: ['kimi-*', 'moonshot-*'],
  },
];

/** A placeholder such as `-` or `dummy` is no key; clients of a gateway are often told to set one. */
const KEY_MIN_LENGTH = 8;

/** In the order of the table; at most one per provider. A base address that is none is ignored, and so is its key. */
export function findProviders(env: Readonly<Record<string, string | undefined>>): readonly FoundProvider[] {
  const found: FoundProvider[] = [];
  for (const known of KNOWN) {
    const envName = known.keys.find((name) => (env[name]?.trim().length ?? 0) >= KEY_MIN_LENGTH);
    const key = envName === undefined ? undefined : env[envName]?.trim();
    if (envName === undefined || key === undefined || !/^[\x21-\x7e]+$/.test(key)) continue;
    const other = known.baseUrlKeys.map((name) => env[name]?.trim() ?? '').find((text) => text !== '');
    if (other !== undefined && !isWebAddress(other)) continue;
    found.push({
      id: known.id,
      name: known.name,
      baseUrl: other ?? known.baseUrl,
      header: known.header,
      secret: new Secret(key),
      envName,
      compatibility: known.compatibility,
      costBasis: known.costBasis,
      models: other === undefined ? known.models : ANY,
    });
  }
  return found;
}

function isWebAddress(text: string): boolean {
  return URL.canParse(text) && ['http:', 'https:'].includes(new URL(text).protocol);
}
