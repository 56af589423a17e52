/**
 * What a meter gathers while an answer passes, and careful readers for values that a provider
 * wrote. Everything here is bounded: strings are cut, lists are short.
 */
import type { MeterResult, NamedObject } from '../meter.ts';
import type { ObjectKind } from '../surface.ts';
import type { Usage } from '../usage.ts';

/** A JSON object of unknown content. */
export type JsonRecord = Readonly<Record<string, unknown>>;

/** Names of called tools that are kept; an answer with more is cut. */
const TOOL_CALLS_MAX = 128;
const NAME_MAX_CHARS = 256;
/** Objects that are kept of one answer: a page of a list, the items of a response. */
const OBJECTS_MAX = 2_048;
const MESSAGE_MAX_CHARS = 1_000;
/** A usage object with more members is not one. */
const USAGE_MEMBERS_MAX = 64;

/** The state of one metered answer. */
export class Findings {
  complete = false;
  outputChars = 0;
  #usage: Record<string, unknown> | null = null;
  #error: MeterResult['error'] = null;
  #model: string | null = null;
  #responseId: string | null = null;
  #stopReason: string | null = null;
  readonly #toolCalls: string[] = [];
  readonly #objects: NamedObject[] = [];

  /** Merges a usage object as the provider wrote it: members that are not null replace earlier ones. */
  addUsage(usage: unknown): void {
    const found = asRecord(usage);
    if (found === null) return;
    const keys = Object.keys(found);
    if (keys.length > USAGE_MEMBERS_MAX) return;
    const merged = (this.#usage ??= {});
    for (const key of keys) {
      const value = found[key];
      if (value !== null && value !== undefined) merged[key] = value;
    }
  }

  /** The first non-empty model and id count: later ones are repeats. */
  setIdentity(id: unknown, model: unknown): void {
    this.#responseId ??= shortText(id);
    this.#model ??= shortText(model);
  }

  get hasIdentity(): boolean {
    return this.#responseId !== null && this.#model !== null;
  }

  setStopReason(reason: unknown): void {
    this.#stopReason = shortText(reason) ?? this.#stopReason;
  }

  addToolCall(name: unknown): void {
    const text = shortText(name);
    if (text !== null && this.#toolCalls.length < TOOL_CALLS_MAX) this.#toolCalls.push(text);
  }

  /** An object that the provider made or keeps; what is no id is left out. */
  addObject(kind: ObjectKind, id: unknown, parentId: string | null = null): void {
    if (typeof id !== 'string' || id.length === 0 || id.length > NAME_MAX_CHARS) return;
    if (this.#objects.length < OBJECTS_MAX) this.#objects.push({ kind, id, parentId });
  }

  /** Keeps the first error of the answer. */
  setError(code: unknown, message: unknown): void {
    this.#error ??= {
      code: typeof code === 'number' ? String(code) : (shortText(code) ?? 'unknown'),
      message: typeof message === 'string' ? message.slice(0, MESSAGE_MAX_CHARS) : '',
    };
  }

  /** The usual error object: `{ message, type, code }` in any subset, or a bare string. */
  setErrorFrom(error: unknown): void {
    const found = asRecord(error);
    if (found !== null) this.setError(found['code'] ?? found['status'] ?? found['type'], found['message']);
    else if (typeof error === 'string') this.setError(null, error);
  }

  result(readUsage: (usage: JsonRecord) => Usage | null): MeterResult {
    const result: MeterResult = {
      usage: this.#usage === null ? null : readUsage(this.#usage),
      complete: this.complete,
      error: this.#error,
      outputChars: this.outputChars,
      model: this.#model,
      responseId: this.#responseId,
      stopReason: this.#stopReason,
      toolCalls: this.#toolCalls,
    };
    return this.#objects.length === 0 ? result : { ...result, objects: this.#objects };
  }
}

export function asRecord(value: unknown): JsonRecord | null {
  return isRecord(value) ? value : null;
}

function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A member of what may be an object. */
export function get(value: unknown, key: string): unknown {
  return asRecord(value)?.[key];
}

/** A token count: a whole number >= 0 that fits a safe integer; else undefined. */
export function asCount(value: unknown): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined;
}

/** The sum of the counts that are there; undefined if none is. */
export function sumCounts(...counts: readonly (number | undefined)[]): number | undefined {
  let sum: number | undefined;
  for (const count of counts) {
    if (count !== undefined) sum = (sum ?? 0) + count;
  }
  return sum;
}

/** A count of `Usage` that is not here cannot be given to `usageOf`. */
const USAGE_KEYS = [
  'inputTokens',
  'cacheReadTokens',
  'cacheWriteTokens',
  'cacheWrite1hTokens',
  'outputTokens',
  'reasoningTokens',
  'inputAudioTokens',
  'outputAudioTokens',
  'inputAudioSeconds',
  'inputImageTokens',
  'outputImageTokens',
  'webSearches',
] as const satisfies readonly (keyof Usage)[];

type UsageCounts = { readonly [Key in (typeof USAGE_KEYS)[number]]?: number | undefined };

/** A `Usage` without the members that are undefined; null if nothing is left. */
export function usageOf(counts: UsageCounts): Usage | null {
  const usage: { -readonly [Key in keyof Usage]: Usage[Key] } = {};
  let isReported = false;
  for (const key of USAGE_KEYS) {
    const count = counts[key];
    if (count === undefined) continue;
    usage[key] = count;
    isReported = true;
  }
  return isReported ? usage : null;
}

export function textLength(value: unknown): number {
  return typeof value === 'string' ? value.length : 0;
}

function shortText(value: unknown): string | null {
  return typeof value === 'string' && value.length > 0 ? value.slice(0, NAME_MAX_CHARS) : null;
}
