/**
 * What is known of the services whose keys are found: the variables that name them, where their API
 * is, and how a program is told of another address. Sources: the services' own documentation.
 */

export interface Service {
  readonly id: string;
  readonly title: string;
  /** Hosts of its API; a provider of the document with one of these is the one that the key is for. */
  readonly hosts: readonly string[];
  /** Variables that hold its key. */
  readonly keyVariables: readonly string[];
  /** How programs are pointed elsewhere; absent where Postern has no counterpart for them. */
  readonly redirect?: Redirect;
}

export interface Redirect {
  /** Variable that holds the base URL. */
  readonly variable: string;
  /** What that variable wants behind the origin. */
  readonly path: '' | '/v1';
  /** What settings with a base URL of their own (OpenCode, Continue) want behind the origin. */
  readonly apiPath: '/v1' | '/v1beta';
}

export const SERVICES: readonly Service[] = [
  {
    id: 'anthropic',
    title: 'Anthropic',
    hosts: ['api.anthropic.com'],
    keyVariables: ['ANTHROPIC_API_KEY', 'ANTHROPIC_AUTH_TOKEN', 'CLAUDE_API_KEY'],
    redirect: { variable: 'ANTHROPIC_BASE_URL', path: '', apiPath: '/v1' },
  },
  {
    id: 'openai',
    title: 'OpenAI',
    hosts: ['api.openai.com', 'us.api.openai.com', 'eu.api.openai.com'],
    keyVariables: ['OPENAI_API_KEY', 'CODEX_API_KEY'],
    redirect: { variable: 'OPENAI_BASE_URL', path: '/v1', apiPath: '/v1' },
  },
  {
    id: 'google',
    title: 'Google',
    hosts: ['generativelanguage.googleapis.com', 'aiplatform.googleapis.com'],
    keyVariables: ['GEMINI_API_KEY', 'GOOGLE_API_KEY', 'GOOGLE_GENERATIVE_AI_API_KEY'],
    redirect: { variable: 'GOOGLE_GEMINI_BASE_URL', path: '', apiPath: '/v1beta' },
  },
  named('azure', 'Azure', [], ['AZURE_OPENAI_API_KEY', 'AZURE_API_KEY']),
  named('openrouter', 'OpenRouter', ['openrouter.ai'], ['OPENROUTER_API_KEY']),
  named('mistral', 'Mistral', ['api.mistral.ai'], ['MISTRAL_API_KEY', 'CODESTRAL_API_KEY']),
  named('deepseek', 'DeepSeek', ['api.deepseek.com'], ['DEEPSEEK_API_KEY']),
  named('groq', 'Groq', ['api.groq.com'], ['GROQ_API_KEY']),
  named('xai', 'xAI', ['api.x.ai'], ['XAI_API_KEY']),
  named('cohere', 'Cohere', ['api.cohere.com', 'api.cohere.ai'], ['COHERE_API_KEY', 'CO_API_KEY']),
  named('together', 'Together', ['api.together.xyz', 'api.together.ai'], ['TOGETHER_API_KEY']),
  named('fireworks', 'Fireworks', ['api.fireworks.ai'], ['FIREWORKS_API_KEY']),
  named('perplexity', 'Perplexity', ['api.perplexity.ai'], ['PERPLEXITY_API_KEY', 'PERPLEXITYAI_API_KEY']),
  named('cerebras', 'Cerebras', ['api.cerebras.ai'], ['CEREBRAS_API_KEY']),
  named('moonshot', 'Moonshot', ['api.moonshot.ai', 'api.moonshot.cn'], ['MOONSHOT_API_KEY']),
  named(
    'dashscope',
    'DashScope',
    ['dashscope.aliyuncs.com', 'dashscope-intl.aliyuncs.com'],
    ['DASHSCOPE_API_KEY'],
  ),
  named('zai', 'Z.ai', ['api.z.ai'], ['ZAI_API_KEY', 'ZHIPU_API_KEY']),
  named('huggingface', 'Hugging Face', ['router.huggingface.co'], ['HF_TOKEN', 'HUGGINGFACE_API_KEY']),
  named('replicate', 'Replicate', ['api.replicate.com'], ['REPLICATE_API_TOKEN']),
  named('nvidia', 'NVIDIA', ['integrate.api.nvidia.com'], ['NVIDIA_API_KEY', 'NVIDIA_NIM_API_KEY']),
  named('voyage', 'Voyage', ['api.voyageai.com'], ['VOYAGE_API_KEY']),
  named('aws', 'AWS', [], ['AWS_BEARER_TOKEN_BEDROCK', 'AWS_ACCESS_KEY_ID', 'AWS_SECRET_ACCESS_KEY']),
];

const BY_ID = new Map(SERVICES.map((service) => [service.id, service]));
const BY_VARIABLE = new Map(
  SERVICES.flatMap((service) => service.keyVariables.map((variable) => [variable, service] as const)),
);

export function serviceById(id: string): Service | null {
  return BY_ID.get(id) ?? null;
}

/** The service that a variable is named after: `MISTRAL_API_KEY`, `mistral-api-key`. Null if none. */
export function serviceOfSetting(name: string): Service | null {
  return BY_VARIABLE.get(name.toUpperCase().replaceAll(/[-.]/g, '_')) ?? null;
}

/** The service at a host of a provider's address. */
export function serviceOfHost(host: string): Service | null {
  return SERVICES.find(({ hosts }) => hosts.includes(host)) ?? null;
}

function named(
  id: string,
  title: string,
  hosts: readonly string[],
  keyVariables: readonly string[],
): Service {
  return { id, title, hosts, keyVariables };
}
