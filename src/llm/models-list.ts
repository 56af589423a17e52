/**
 * Model lists in the dialect of the caller: `GET /v1/models` of OpenAI and Anthropic,
 * `GET /v1beta/models` of Gemini, and single models. The providers' own members first, so that
 * their SDKs read them; what Postern knows besides stands in further members.
 */
import { toRfc3339, type UnixMs } from '../base/clock.ts';
import type { PriceFields } from './prices/index.ts';
import type { Dialect } from './surface.ts';

/** A model that the caller may use. */
export interface ModelEntry {
  /** As callers name it: bare or `provider/model`. */
  readonly id: string;
  readonly displayName: string | null;
  readonly provider: string;
  /** Wire formats that reach it. */
  readonly formats: readonly string[];
  /** Tokens; null where unknown. */
  readonly contextWindow: number | null;
  readonly maxOutput: number | null;
  readonly modalities: { readonly input: readonly string[]; readonly output: readonly string[] } | null;
  /** List prices in dollars; null where unknown. */
  readonly prices: PriceFields | null;
  /** A test model, to be labelled as one. */
  readonly test: boolean;
}

export interface ModelsPage {
  /** Gemini's `pageSize` or Anthropic's `limit`; null gives everything. */
  readonly limit: number | null;
  /** Gemini's `pageToken` or Anthropic's `after_id`: what the last page gave. */
  readonly after: string | null;
}

export interface ModelsListOptions {
  readonly page?: ModelsPage;
  /** What lists show as time of creation, which nobody knows: the configuration's time. */
  readonly createdAt: UnixMs;
}

/** The list as a JSON value, ordered by id. OpenAI's has no pages. */
export function renderModels(
  dialect: Dialect,
  models: readonly ModelEntry[],
  options: ModelsListOptions,
): object {
  const sorted = models.toSorted((a, b) => (a.id < b.id ? -1 : a.id > b.id ? 1 : 0));
  switch (dialect) {
    case 'openai':
      return { object: 'list', data: sorted.map((model) => openaiModel(model, options.createdAt)) };
    case 'anthropic': {
      const page = takePage(sorted, options.page);
      return {
        data: page.items.map((model) => anthropicModel(model, options.createdAt)),
        has_more: page.hasMore,
        first_id: page.items[0]?.id ?? null,
        last_id: page.items.at(-1)?.id ?? null,
      };
    }
    case 'google': {
      const page = takePage(sorted, options.page);
      const last = page.items.at(-1)?.id;
      const list = { models: page.items.map(geminiModel) };
      return page.hasMore && last !== undefined ? { ...list, nextPageToken: last } : list;
    }
    case 'bedrock':
      return { inferenceProfileSummaries: sorted.map(bedrockProfile) };
    default:
      return dialect satisfies never;
  }
}

/** One model as a JSON value. */
export function renderModel(dialect: Dialect, model: ModelEntry, createdAt: UnixMs): object {
  switch (dialect) {
    case 'openai':
      return openaiModel(model, createdAt);
    case 'anthropic':
      return anthropicModel(model, createdAt);
    case 'google':
      return geminiModel(model);
    case 'bedrock':
      return bedrockProfile(model);
    default:
      return dialect satisfies never;
  }
}

/** Largest page that is given. */
const PAGE_MAX = 1_000;

function takePage(
  models: readonly ModelEntry[],
  page: ModelsPage | undefined,
): { items: readonly ModelEntry[]; hasMore: boolean } {
  const after = page?.after ?? null;
  const rest = after === null ? models : models.filter((model) => model.id > after);
  const limit = page?.limit ?? null;
  const items = limit === null ? rest : rest.slice(0, Math.min(PAGE_MAX, Math.max(1, Math.floor(limit))));
  return { items, hasMore: items.length < rest.length };
}

function openaiModel(model: ModelEntry, createdAt: UnixMs): object {
  return {
    id: model.id,
    object: 'model',
    created: Math.floor(createdAt / 1_000),
    owned_by: model.provider,
    ...furtherFacts(model),
  };
}

function anthropicModel(model: ModelEntry, createdAt: UnixMs): object {
  return {
    type: 'model',
    id: model.id,
    display_name: displayName(model),
    created_at: toRfc3339(createdAt),
    max_input_tokens: model.contextWindow,
    max_tokens: model.maxOutput,
    ...furtherFacts(model),
  };
}

/** Actions by wire format, for `supportedGenerationMethods`. */
const GEMINI_METHODS: Readonly<Record<string, readonly string[]>> = {
  gemini_generate_content: ['generateContent', 'streamGenerateContent', 'countTokens'],
  google_generate_content: ['generateContent', 'streamGenerateContent', 'countTokens'],
  gemini_embed_content: ['embedContent'],
};

function geminiModel(model: ModelEntry): object {
  const methods = model.formats.flatMap((format) =>
    Object.hasOwn(GEMINI_METHODS, format) ? (GEMINI_METHODS[format] ?? []) : [],
  );
  return {
    name: `models/${model.id}`,
    baseModelId: model.id,
    version: '',
    displayName: displayName(model),
    ...(model.contextWindow === null ? {} : { inputTokenLimit: model.contextWindow }),
    ...(model.maxOutput === null ? {} : { outputTokenLimit: model.maxOutput }),
    supportedGenerationMethods: [...new Set(methods)],
    postern: furtherFacts(model),
  };
}

function bedrockProfile(model: ModelEntry): object {
  return {
    inferenceProfileId: model.id,
    inferenceProfileName: displayName(model),
    inferenceProfileArn: `arn:aws:bedrock:::inference-profile/${model.id}`,
    models: [],
    status: 'ACTIVE',
    type: 'SYSTEM_DEFINED',
  };
}

function displayName(model: ModelEntry): string {
  const name = model.displayName ?? model.id;
  return model.test ? `${name} (test model)` : name;
}

function furtherFacts(model: ModelEntry): object {
  return {
    provider: model.provider,
    formats: model.formats,
    context_window: model.contextWindow,
    max_output_tokens: model.maxOutput,
    modalities: model.modalities,
    pricing: model.prices === null ? null : { currency: 'USD', ...model.prices },
    test_model: model.test,
  };
}
