/** From a document's or a found provider to one that is ready for use. */
import type { BaseUrl, ModelLimitsEntry, ProviderEntry } from './document.ts';
import type { FoundProviderView } from './ports.ts';
import { AUTHORIZATIONS, COMPATIBILITY_FLAGS } from './read-provider.ts';
import type { Provider, ProviderKind } from './snapshot.ts';
import { parseBaseUrl } from './values.ts';

/** Id of the built-in test provider; its only model is `echo`. */
export const ECHO_PROVIDER_ID = 'postern';
export const ECHO_MODEL = 'echo';

const OPENAI_COMMON = [
  'openai_embeddings',
  'openai_images',
  'openai_audio_speech',
  'openai_audio_transcription',
  'openai_moderations',
  'openai_files',
  'openai_batches',
];

/** The wire formats that follow from a flag. */
const FORMATS_OF: Readonly<Record<(typeof COMPATIBILITY_FLAGS)[number], readonly string[]>> = {
  openai_chat: ['openai_chat', 'openai_completions', ...OPENAI_COMMON],
  openai_responses: ['openai_responses', 'openai_objects', ...OPENAI_COMMON],
  anthropic_messages: [
    'anthropic_messages',
    'anthropic_count_tokens',
    'anthropic_batches',
    'anthropic_files',
  ],
  gemini_generate_content: [
    'gemini_generate_content',
    'gemini_count_tokens',
    'gemini_embed_content',
    'gemini_caches',
  ],
  google_generate_content: ['google_generate_content', 'gemini_count_tokens', 'gemini_embed_content'],
  google_raw_predict: ['google_raw_predict'],
  bedrock_model_invoke: ['bedrock_model_invoke'],
  bedrock_converse: ['bedrock_converse'],
  experimental_gemini_cli_vertex_compat: [
    'gemini_generate_content',
    'gemini_count_tokens',
    'google_generate_content',
  ],
};

const NO_BASE_URL: BaseUrl = { origin: '', pathPrefix: '', href: '' };

export function compileProvider(entry: ProviderEntry, autoCostBasis: boolean): Provider {
  const baseUrl = entry.baseUrl ?? NO_BASE_URL;
  const kind = kindOf(baseUrl, entry.compatibility, entry.costBasis);
  return {
    id: entry.id,
    name: entry.name,
    description: entry.description,
    baseUrl,
    authorization: entry.authorization,
    authMode: entry.authMode,
    compatibility: entry.compatibility,
    formats: formatsOf(entry.compatibility),
    models: entry.models,
    preference: entry.preference,
    disabled: entry.disabled || entry.baseUrl === null,
    addHeaders: entry.addHeaders,
    costBasis: entry.costBasis ?? (autoCostBasis ? costBasisOf(kind, entry.compatibility) : null),
    modelCostMap: entry.modelCostMap,
    modelLimits: entry.modelLimits,
    storedInputs: entry.storedInputs,
    kind,
    builtIn: false,
    found: false,
  };
}

/** Null if the found address is none. */
export function compileFoundProvider(found: FoundProviderView): Provider | null {
  const parsed = parseBaseUrl(found.baseUrl);
  if (!parsed.ok) return null;
  const { baseUrl } = parsed.value;
  const kind = kindOf(baseUrl, found.compatibility, found.costBasis);
  return {
    id: found.id,
    name: found.name,
    description: '',
    baseUrl,
    authorization: AUTHORIZATIONS.find((known) => known === found.header) ?? 'bearer',
    authMode: found.header === 'none' ? 'none' : 'override',
    compatibility: found.compatibility,
    formats: formatsOf(found.compatibility),
    models: found.models,
    preference: 0,
    disabled: false,
    addHeaders: [],
    costBasis: found.costBasis,
    modelCostMap: [],
    modelLimits: [],
    storedInputs: [],
    kind,
    builtIn: false,
    found: true,
  };
}

const ECHO_LIMITS: ModelLimitsEntry = {
  match: ECHO_MODEL,
  contextWindow: null,
  maxOutput: null,
  input: ['text'],
  output: ['text'],
};

/** The test provider: there in every policy, speaks every format, costs nothing. */
export function echoProvider(): Provider {
  return {
    id: ECHO_PROVIDER_ID,
    name: 'Postern echo (test model)',
    description: 'A built-in model that repeats what it is told. It is no AI.',
    baseUrl: NO_BASE_URL,
    authorization: 'bearer',
    authMode: 'none',
    compatibility: [...COMPATIBILITY_FLAGS],
    formats: formatsOf(COMPATIBILITY_FLAGS),
    models: [ECHO_MODEL],
    preference: -1_000_000,
    disabled: false,
    addHeaders: [],
    costBasis: null,
    modelCostMap: [],
    modelLimits: [ECHO_LIMITS],
    storedInputs: [],
    kind: 'echo',
    builtIn: true,
    found: false,
  };
}

function formatsOf(flags: readonly string[]): ReadonlySet<string> {
  const formats = new Set<string>();
  for (const flag of COMPATIBILITY_FLAGS) {
    if (flags.includes(flag)) for (const format of FORMATS_OF[flag]) formats.add(format);
  }
  return formats;
}

/** Regional, FIPS and PrivateLink names of the runtime, and the newer `bedrock-mantle` endpoints. */
const BEDROCK_HOST =
  /^(?:vpce-[a-z0-9-]+\.)?bedrock-(?:runtime|mantle)(?:-fips)?\.[a-z0-9-]+\.(?:vpce\.)?(?:amazonaws\.(?:com|com\.cn|eu)|api\.aws|api\.amazonwebservices\.(?:com\.cn|eu))$/;

/** By host where it is a provider's own, else by what the document says of formats and prices. */
function kindOf(baseUrl: BaseUrl, flags: readonly string[], costBasis: string | null): ProviderKind {
  const host = URL.canParse(baseUrl.origin) ? new URL(baseUrl.origin).hostname : '';
  if (host === 'api.openai.com') return 'openai';
  if (host === 'api.anthropic.com') return 'anthropic';
  if (host === 'openrouter.ai') return 'openrouter';
  if (host === 'generativelanguage.googleapis.com') return 'gemini';
  if (/(?:^|[.-])aiplatform\.googleapis\.com$/.test(host)) return 'vertex';
  if (BEDROCK_HOST.test(host)) return 'bedrock';
  if (/\.(?:openai|services\.ai|cognitiveservices)\.azure\.(?:com|us|cn)$/.test(host)) return 'azure';
  if (costBasis?.startsWith('azure') === true) return 'azure';
  if (flags.some((flag) => flag.startsWith('bedrock_'))) return 'bedrock';
  if (flags.some((flag) => flag.startsWith('google_') || flag === 'experimental_gemini_cli_vertex_compat'))
    return 'vertex';
  if (flags.includes('gemini_generate_content')) return 'gemini';
  return 'compatible';
}

/** The price list that a kind stands for; null where the kind says nothing. */
const COST_BASIS_OF: Readonly<Record<ProviderKind, string | null>> = {
  openai: 'openai',
  anthropic: 'anthropic',
  gemini: 'google',
  vertex: 'vertex',
  bedrock: 'bedrock',
  azure: 'azure',
  openrouter: 'openrouter',
  compatible: null,
  echo: null,
};

/** `auto_cost_basis`: by the kind where it is certain, else by the format if only one house speaks it. */
function costBasisOf(kind: ProviderKind, flags: readonly string[]): string | null {
  if (kind !== 'compatible') return COST_BASIS_OF[kind];
  const speaksOpenAi = flags.some((flag) => flag.startsWith('openai_'));
  const speaksAnthropic = flags.includes('anthropic_messages');
  if (speaksOpenAi === speaksAnthropic) return null;
  return speaksOpenAi ? 'openai' : 'anthropic';
}
