/**
 * The embedded price list: the data of `@pydantic/genai-prices` (MIT), pinned by the lock file and
 * never updated over the network. Effective-dated; prices in US dollars.
 *
 * Only its data is used, by `findProvider`. Matching and charging are ours, in integers; the tests
 * hold them against the package's own calculation.
 */
import { createRequire } from 'node:module';
import type { UnixMs } from '../../base/clock.ts';
import { assert } from '../../base/errors.ts';

/** A price in dollars, or one that depends on the total input tokens: the last tier begun counts for all tokens. */
export type ListPrice =
  | number
  | { readonly base: number; readonly tiers: readonly { readonly start: number; readonly price: number }[] };

/** Prices by the package's keys: `input_mtok` (a million tokens), `web_searches_kcount` (a thousand), `audio_hours`. */
export type ListPrices = Readonly<Record<string, ListPrice | undefined>>;

type Constraint =
  | { readonly type: 'start_date'; readonly start_date: string }
  | { readonly type: 'time_of_date'; readonly start_time: string; readonly end_time: string };

type Match = Readonly<Record<string, unknown>>;

interface DatedPrices {
  readonly constraint?: Constraint;
  readonly prices: ListPrices;
}

/** A model of the list, as the package has it. */
export interface ListedModel {
  readonly id: string;
  readonly name?: string;
  readonly context_window?: number;
  readonly match: Match;
  readonly prices: ListPrices | readonly DatedPrices[];
}

interface ListedProvider {
  readonly id: string;
  readonly models: readonly ListedModel[];
  readonly fallback_model_providers?: readonly string[];
}

interface PricesPackage {
  findProvider(options: { readonly providerId: string }): ListedProvider | undefined;
}

function isPricesPackage(value: unknown): value is PricesPackage {
  return typeof value === 'object' && value !== null && 'findProvider' in value;
}

/** Looks models up in the list. */
export interface Catalogue {
  /** The model of a provider of the list (`anthropic`, `aws` …), by its name as sent. */
  find(providerId: string, model: string): ListedModel | null;
  models(providerId: string): readonly ListedModel[];
}

/**
 * Loads the list: about 30 ms and 15 MB, once a process. To be called at start, not while a
 * request waits.
 */
export function loadCatalogue(): Catalogue {
  const load = createRequire(import.meta.url);
  const loaded: unknown = load('@pydantic/genai-prices');
  assert(isPricesPackage(loaded), 'the price list exports findProvider');
  const found = (providerId: string): ListedProvider | undefined => loaded.findProvider({ providerId });

  const findIn = (providerId: string, name: string, depth: number): ListedModel | null => {
    const provider = found(providerId);
    if (provider === undefined) return null;
    const own = provider.models.find((model) => matches(model.match, name));
    if (own !== undefined) return own;
    // One level is all the data has; the bound keeps a mistake in it from looping.
    for (const other of depth > 0 ? (provider.fallback_model_providers ?? []) : []) {
      const borrowed = findIn(other, name, depth - 1);
      if (borrowed !== null) return borrowed;
    }
    return null;
  };

  return {
    find: (providerId, model) => {
      const name = model.toLowerCase().trim();
      return findIn(providerId, name, 1) ?? findIn(providerId, withDashedDate(name), 1);
    },
    models: (providerId) => found(providerId)?.models ?? [],
  };
}

/** `-20250514` as `-2025-05-14`: providers write both for one model. */
function withDashedDate(name: string): string {
  return name.replaceAll(/-(20\d{2})(0[1-9]|1[0-2])(0[1-9]|[12]\d|3[01])(?=-|:|$)/g, '-$1-$2-$3');
}

/** The list's matching rules; `name` is in lower case. */
function matches(match: Match, name: string): boolean {
  return Object.entries(match).every(([rule, operand]) => {
    if (Array.isArray(operand)) {
      const all = operand as readonly Match[];
      return rule === 'or'
        ? all.some((inner) => matches(inner, name))
        : rule === 'and' && all.every((inner) => matches(inner, name));
    }
    if (typeof operand !== 'string') return false;
    switch (rule) {
      case 'equals':
        return name === operand.toLowerCase();
      case 'starts_with':
        return name.startsWith(operand.toLowerCase());
      case 'ends_with':
        return name.endsWith(operand.toLowerCase());
      case 'contains':
        return name.includes(operand.toLowerCase());
      case 'regex':
        return new RegExp(operand).test(name);
      default:
        return false;
    }
  });
}

/** When a price holds, as numbers. */
export interface PriceTerm {
  /** From then on; NaN is never. */
  readonly from: UnixMs;
  /** Within the day, in milliseconds after midnight UTC, `end` excluded; may run over midnight. Null all day. */
  readonly hours: { readonly start: number; readonly end: number } | null;
}

export interface PriceEntry extends PriceTerm {
  readonly prices: ListPrices;
}

const ALWAYS: PriceTerm = { from: Number.NEGATIVE_INFINITY, hours: null };

/** A model's prices with their terms, read once; the last whose term holds counts. */
export function priceEntries(model: ListedModel): readonly PriceEntry[] {
  if (!isDated(model.prices)) return [{ ...ALWAYS, prices: model.prices }];
  return model.prices.map(({ constraint, prices }) => ({ ...termOf(constraint), prices }));
}

function termOf(constraint: Constraint | undefined): PriceTerm {
  if (constraint === undefined) return ALWAYS;
  if (constraint.type === 'start_date') return { from: Date.parse(constraint.start_date), hours: null };
  const hours = { start: timeOfDayMs(constraint.start_time), end: timeOfDayMs(constraint.end_time) };
  return { ...ALWAYS, hours };
}

/** The entry that holds at `at`: the last whose term is met, or the first where none is. Undefined of none. */
export function entryAt<Entry extends PriceTerm>(entries: readonly Entry[], at: UnixMs): Entry | undefined {
  for (let i = entries.length - 1; i >= 0; i -= 1) {
    const entry = entries[i];
    if (entry !== undefined && holds(entry, at)) return entry;
  }
  return entries[0];
}

/** The prices that hold at `at`. */
export function pricesAt(model: ListedModel, at: UnixMs): ListPrices {
  return entryAt(priceEntries(model), at)?.prices ?? {};
}

function isDated(prices: ListedModel['prices']): prices is readonly DatedPrices[] {
  return Array.isArray(prices);
}

function holds({ from, hours }: PriceTerm, at: UnixMs): boolean {
  if (!(at >= from)) return false;
  if (hours === null) return true;
  const now = at % DAY_MS;
  const { start, end } = hours;
  return end < start ? now >= start || now < end : now >= start && now < end;
}

const DAY_MS = 86_400_000;

/** `16:30:00Z` or `00:30:00+08:00` as milliseconds after midnight UTC. */
function timeOfDayMs(text: string): number {
  return Date.parse(`1970-01-02T${text}`) % DAY_MS;
}
