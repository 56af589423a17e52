/** What models cost: the embedded list, the operator's overrides, and adjustments by configuration. */
import { AppError } from '../../base/errors.ts';
import type { UnixMs } from '../../base/clock.ts';
import type { Usage } from '../usage.ts';
import {
  entryAt,
  loadCatalogue,
  priceEntries,
  pricesAt,
  type Catalogue,
  type ListedModel,
  type ListPrice,
  type ListPrices,
  type PriceTerm,
} from './catalogue.ts';
import { chargeNanoUsd, compileRateCard, type RateCard } from './charge.ts';
import { createModelLimits } from '../model-limits/find-model-limits.ts';
import type { Modalities } from '../model-limits/known-models.ts';
import { compilePathMatch } from './path-match.ts';

/** Prices in US dollars: for a million tokens, for a thousand searches or requests, for an hour of audio. */
export interface PriceFields {
  readonly input?: number;
  readonly output?: number;
  /** Once the whole input is above 200,000 tokens. */
  readonly inputAbove200k?: number;
  readonly outputAbove200k?: number;
  readonly cacheRead?: number;
  readonly cacheWrite?: number;
  readonly cacheWrite1h?: number;
  readonly reasoning?: number;
  readonly inputAudio?: number;
  readonly outputAudio?: number;
  readonly inputImage?: number;
  readonly outputImage?: number;
  readonly webSearch?: number;
  readonly request?: number;
  readonly audioHour?: number;
}

/** A price of the operator's own; it wins over the list. The first that fits counts. */
export interface PriceOverride {
  /** Only for this cost basis; absent for all. */
  readonly basis?: string;
  /** Pattern over the model's name, as in `model_cost_map`. */
  readonly match: string;
  /** Holds from then on; absent from ever. */
  readonly from?: UnixMs;
  readonly prices: PriceFields;
}

/** One line of a provider's `model_cost_map`: price models that match as another one. */
export interface ModelCostMapping {
  readonly match: string;
  /** Model name, or `basis/model`. */
  readonly as: string;
  /** Factor on the price. Default 1. */
  readonly adjustment?: number;
}

export interface PriceQuestion {
  /** `cost_basis`, or else the provider's kind. */
  readonly basis: string;
  /** As sent to the provider. */
  readonly model: string;
  readonly usage: Usage | null;
  /** When the request was made: prices are those of that time. */
  readonly at: UnixMs;
  /** The first match wins. */
  readonly modelCostMap?: readonly ModelCostMapping[];
  /** Factor on the price, on top of the mapping's. Default 1. */
  readonly adjustment?: number;
}

/** `unpriced`: the model is not in the list, or something was used that has no price. */
export type PriceAnswer =
  | { readonly state: 'priced'; readonly costNanoUsd: number }
  | { readonly state: 'unpriced'; readonly costNanoUsd: null };

export interface ModelFacts {
  /** Id in the list, or the name that was asked for where only its limits are known. */
  readonly id: string;
  readonly name: string;
  /** Tokens; null where unknown. */
  readonly contextWindow: number | null;
  /** Tokens that one answer may have; null where unknown. */
  readonly maxOutput: number | null;
  /** Null where unknown. */
  readonly modalities: Modalities | null;
  /** Null where the list has no price. */
  readonly prices: PriceFields | null;
}

export interface PricingEntry extends ModelFacts {
  readonly basis: string;
}

export interface PriceBook {
  price(question: PriceQuestion): PriceAnswer;
  /** What is known of a model, at list price: from the price list and the table of limits. Null if neither has it. */
  modelFacts(basis: string, model: string, at: UnixMs): ModelFacts | null;
  /** Ids that the list has for a basis; empty for an unknown one. */
  knownModels(basis: string): readonly string[];
  /** The whole list, or one basis's part of it. */
  pricing(at: UnixMs, basis?: string): readonly PricingEntry[];
}

export interface PriceBookOptions {
  readonly overrides?: readonly PriceOverride[];
}

/** `price_override_invalid`: a pattern or price that cannot be. */
export type PriceErrorCode = 'price_override_invalid';

/**
 * Providers of the list by cost basis, which are the names of the configuration's `cost_basis` and
 * the kinds of providers. Prefixes are tried before the plain name: Bedrock's regional profiles
 * cost more than its global ones.
 */
const BASES: Readonly<Record<string, { readonly provider: string; readonly prefixes?: readonly string[] }>> =
  {
    anthropic: { provider: 'anthropic' },
    openai: { provider: 'openai' },
    google: { provider: 'google' },
    gemini: { provider: 'google' },
    vertex: { provider: 'google' },
    bedrock: { provider: 'aws' },
    'bedrock-us': { provider: 'aws', prefixes: ['us.'] },
    'bedrock-eu': { provider: 'aws', prefixes: ['eu.'] },
    'bedrock-ap': { provider: 'aws', prefixes: ['apac.', 'jp.', 'au.'] },
    azure: { provider: 'azure' },
    'azure-eu': { provider: 'azure' },
    openrouter: { provider: 'openrouter' },
    groq: { provider: 'groq' },
    mistral: { provider: 'mistral' },
    xai: { provider: 'x-ai' },
    deepseek: { provider: 'deepseek' },
  };

/** The vendor before the slash in names of Vercel's gateway, which bills list prices. */
const VENDORS: Readonly<Record<string, string>> = {
  anthropic: 'anthropic',
  openai: 'openai',
  google: 'google',
  mistral: 'mistral',
  xai: 'x-ai',
  deepseek: 'deepseek',
  groq: 'groq',
  cohere: 'cohere',
  perplexity: 'perplexity',
};

/** Look-ups that are kept; model names come from callers, so the number is bounded. */
const CACHE_MAX = 4_096;
const PPM = 1_000_000;

/**
 * Opens the price book. Loads the list (about 30 ms and 15 MB): at start, not while a request
 * waits. Throws `price_override_invalid`.
 */
export function createPriceBook(options: PriceBookOptions = {}): PriceBook {
  const catalogue = loadCatalogue();
  const overrides = (options.overrides ?? []).map(compileOverride);
  const limitsOf = createModelLimits();
  const find = createModelCache(catalogue, limitsOf);
  const compile = createPatternCache();
  const cardOf = (basis: string, model: string, at: UnixMs): RateCard | null => {
    // Searched in order; most installations have none.
    for (const own of overrides) {
      if ((own.basis ?? basis) === basis && (own.from ?? 0) <= at && own.fits(model)) return own.card;
    }
    const { entries, isListed } = find(basis, model);
    return isListed ? (entryAt(entries, at)?.card ?? FREE_CARD) : null;
  };
  const factsOf = (basis: string, model: string, at: UnixMs): ModelFacts | null => {
    const known = find(basis, model);
    return entryAt(known.entries, at)?.facts ?? known.unpriced;
  };

  return {
    price(question) {
      const target = mapModel(question, compile);
      const card = cardOf(target.basis, target.model, question.at);
      const adjustment = (question.adjustment ?? 1) * target.adjustment;
      const isFactor = Number.isFinite(adjustment) && adjustment >= 0 && adjustment <= ADJUSTMENT_MAX;
      const cost =
        card === null || !isFactor ? null : chargeNanoUsd(question.usage, card, Math.round(adjustment * PPM));
      return cost === null
        ? { state: 'unpriced', costNanoUsd: null }
        : { state: 'priced', costNanoUsd: cost };
    },
    modelFacts: factsOf,
    knownModels: (basis) => listedModels(catalogue, basis).map((model) => model.id),
    pricing: (at, basis) =>
      (basis === undefined ? PRICED_BASES : [basis]).flatMap((name) =>
        listedModels(catalogue, name).flatMap((listed) => {
          const known = factsWithout(listed, listed.id, limitsOf);
          return known === null
            ? []
            : [{ basis: name, ...known, prices: toPriceFields(pricesAt(listed, at)) }];
        }),
      ),
  };
}

/** What is known of a model's name, ready to be asked for with every request. */
interface KnownModel {
  readonly isListed: boolean;
  /** The list's prices with their terms; none of a model that is not listed. */
  readonly entries: readonly KnownEntry[];
  /** Of a model without any price in the list; null where nothing is known. */
  readonly unpriced: ModelFacts | null;
}

interface KnownEntry extends PriceTerm {
  readonly card: RateCard;
  readonly facts: ModelFacts;
}

type LimitsOf = ReturnType<typeof createModelLimits>;

/** Of a model that the list names without any price. */
const FREE_CARD: RateCard = compileRateCard({});

/** Finds models, and keeps what it found (or did not) for `CACHE_MAX` names. */
function createModelCache(
  catalogue: Catalogue,
  limitsOf: LimitsOf,
): (basis: string, model: string) => KnownModel {
  const byBasis = new Map<string, Map<string, KnownModel>>();
  let size = 0;
  return (basis, model) => {
    const known = byBasis.get(basis)?.get(model);
    if (known !== undefined) return known;
    if (size >= CACHE_MAX) {
      byBasis.clear();
      size = 0;
    }
    const found = toKnownModel(findListed(catalogue, basis, model), model, limitsOf);
    const byModel = byBasis.get(basis) ?? new Map<string, KnownModel>();
    byBasis.set(basis, byModel.set(model, found));
    size += 1;
    return found;
  };
}

function toKnownModel(listed: ListedModel | null, model: string, limitsOf: LimitsOf): KnownModel {
  const facts = factsWithout(listed, model, limitsOf);
  if (listed === null || facts === null) return { isListed: false, entries: [], unpriced: facts };
  const entries = priceEntries(listed).map(({ from, hours, prices }) => ({
    from,
    hours,
    card: compileRateCard(prices),
    facts: { ...facts, prices: toPriceFields(prices) },
  }));
  return { isListed: true, entries, unpriced: { ...facts, prices: {} } };
}

/** All but the prices; null where neither the list nor the table of limits has the model. */
function factsWithout(listed: ListedModel | null, model: string, limitsOf: LimitsOf): ModelFacts | null {
  const limits = limitsOf(model);
  if (listed === null && limits === null) return null;
  return {
    id: listed?.id ?? model,
    name: listed?.name ?? listed?.id ?? model,
    contextWindow: limits?.contextWindow ?? listed?.context_window ?? null,
    maxOutput: limits?.maxOutput ?? null,
    modalities: limits?.modalities ?? null,
    prices: null,
  };
}

/** A larger factor is a mistake. */
const ADJUSTMENT_MAX = 1_000;
/** The bases of `pricing()` without a filter: one for each part of the list. */
const PRICED_BASES = ['anthropic', 'openai', 'google', 'bedrock', 'azure', 'openrouter'] as const;

function listedModels(catalogue: Catalogue, basis: string): readonly ListedModel[] {
  const known = Object.hasOwn(BASES, basis) ? BASES[basis] : undefined;
  return known === undefined ? [] : catalogue.models(known.provider);
}

function findListed(catalogue: Catalogue, basis: string, model: string): ListedModel | null {
  if (basis === 'vercel') {
    const slash = model.indexOf('/');
    const vendor = model.slice(0, Math.max(0, slash)).toLowerCase();
    const provider = Object.hasOwn(VENDORS, vendor) ? VENDORS[vendor] : undefined;
    if (provider === undefined) return null;
    const name = model.slice(slash + 1);
    // Vercel writes versions with a dot (`claude-sonnet-4.5`), Anthropic with a dash.
    return catalogue.find(provider, name) ?? catalogue.find(provider, name.replaceAll('.', '-'));
  }
  const known = Object.hasOwn(BASES, basis) ? BASES[basis] : undefined;
  if (known === undefined) return null;
  for (const prefix of known.prefixes ?? []) {
    const regional = /^(?:global|us|eu|apac|jp|au|us-gov)\./.test(model)
      ? null
      : catalogue.find(known.provider, prefix + model);
    if (regional !== null) return regional;
  }
  return catalogue.find(known.provider, model);
}

interface Target {
  readonly basis: string;
  readonly model: string;
  readonly adjustment: number;
}

type FitsModel = (model: string) => boolean;

/** Follows the first mapping that fits. `compile` keeps its patterns. */
function mapModel(question: PriceQuestion, compile: (pattern: string) => FitsModel | null): Target {
  const { basis, model } = question;
  const mapping = question.modelCostMap?.find(({ match }) => compile(match)?.(model) === true);
  if (mapping === undefined) return { basis, model, adjustment: 1 };
  const adjustment = mapping.adjustment ?? 1;
  // OpenRouter's and Vercel's own names have a vendor before the slash.
  const slash = basis === 'openrouter' || basis === 'vercel' ? -1 : mapping.as.indexOf('/');
  const otherBasis = mapping.as.slice(0, Math.max(0, slash));
  if (Object.hasOwn(BASES, otherBasis))
    return { basis: otherBasis, model: mapping.as.slice(slash + 1), adjustment };
  return { basis, model: mapping.as, adjustment };
}

/** Compiles patterns once; malformed ones fit nothing (the configuration's checks report them). */
function createPatternCache(): (pattern: string) => FitsModel | null {
  const compiled = new Map<string, FitsModel | null>();
  return (pattern) => {
    const known = compiled.get(pattern);
    if (known !== undefined) return known;
    if (compiled.size >= CACHE_MAX) compiled.clear();
    const fresh = compilePathMatch(pattern);
    compiled.set(pattern, fresh);
    return fresh;
  };
}

interface CompiledOverride {
  readonly basis: string | undefined;
  readonly from: UnixMs | undefined;
  readonly fits: FitsModel;
  readonly card: RateCard;
}

function compileOverride(override: PriceOverride): CompiledOverride {
  const fits = compilePathMatch(override.match);
  if (fits === null) throw invalidOverride(override, 'its "match" is not a valid pattern');
  for (const [name, price] of Object.entries(override.prices)) {
    if (typeof price !== 'number' || !Number.isFinite(price) || price < 0 || price > PRICE_MAX) {
      throw invalidOverride(override, `"${name}" must be dollars from 0 to ${PRICE_MAX}`);
    }
  }
  const card = compileRateCard(toListPrices(override.prices));
  return { basis: override.basis, from: override.from, fits, card };
}

/** A larger price is a mistake in the unit. */
const PRICE_MAX = 1_000_000;

function invalidOverride(override: PriceOverride, why: string): AppError<PriceErrorCode> {
  return new AppError(
    'price_override_invalid',
    `the price override for "${override.match}" is refused: ${why}`,
  );
}

type PlainField = Exclude<keyof PriceFields, 'inputAbove200k' | 'outputAbove200k'>;

/** Names of the list by ours, where one price is one number. */
const PRICE_KEYS: readonly (readonly [PlainField, string])[] = [
  ['input', 'input_mtok'],
  ['output', 'output_mtok'],
  ['cacheRead', 'cache_read_mtok'],
  ['cacheWrite', 'cache_write_mtok'],
  ['cacheWrite1h', 'cache_write_1h_mtok'],
  ['reasoning', 'output_reasoning_mtok'],
  ['inputAudio', 'input_audio_mtok'],
  ['outputAudio', 'output_audio_mtok'],
  ['inputImage', 'input_image_mtok'],
  ['outputImage', 'output_image_mtok'],
  ['webSearch', 'web_searches_kcount'],
  ['request', 'requests_kcount'],
  ['audioHour', 'input_audio_hours'],
];

const LONG_INPUT_TOKENS = 200_000;

function toListPrices(fields: PriceFields): ListPrices {
  const prices: Record<string, ListPrice> = {};
  for (const [name, key] of PRICE_KEYS) {
    const price = fields[name];
    if (price !== undefined) prices[key] = price;
  }
  const tier = (key: string, above: number | undefined): void => {
    const base = prices[key];
    if (above !== undefined && typeof base === 'number')
      prices[key] = { base, tiers: [{ start: LONG_INPUT_TOKENS, price: above }] };
  };
  tier('input_mtok', fields.inputAbove200k);
  tier('output_mtok', fields.outputAbove200k);
  return prices;
}

/** The list's prices under our names; of other tiers only the base is shown. */
function toPriceFields(prices: ListPrices): PriceFields {
  const fields: { -readonly [Name in keyof PriceFields]: number } = {};
  for (const [name, key] of PRICE_KEYS) {
    const price = prices[key];
    if (price !== undefined) fields[name] = typeof price === 'number' ? price : price.base;
  }
  const above = (key: string): number | undefined => {
    const price = prices[key];
    return typeof price === 'object'
      ? price.tiers.find(({ start }) => start === LONG_INPUT_TOKENS)?.price
      : undefined;
  };
  const inputAbove = above('input_mtok');
  const outputAbove = above('output_mtok');
  if (inputAbove !== undefined) fields.inputAbove200k = inputAbove;
  if (outputAbove !== undefined) fields.outputAbove200k = outputAbove;
  return fields;
}
