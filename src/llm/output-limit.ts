/**
 * The limit on an answer's tokens as a request states it, and how to state a lower one: budgets
 * need the first to know what a request can cost, and the second to let through what is affordable.
 */
import { scanJsonObject, type JsonMember } from '../wire/json-scan.ts';
import type { BodyPatch } from './body-patch.ts';
import type { BodyFacts } from './request-body.ts';
import type { Format } from './surface.ts';

export interface OutputLimit {
  /** Tokens of one answer, as the request says; null where it says nothing (or nothing that is a count). */
  readonly written: number | null;
  /** Answers that are asked for at once (`n`, `best_of`, `candidateCount`), at least 1. */
  readonly answers: number;
  /** Tokens that the model may think; an answer cut below it is refused by the provider. 0 if none. */
  readonly thinking: number;
  /** The format has a place for a limit. */
  readonly clampable: boolean;
  /** The format produces tokens at all. */
  readonly producesTokens: boolean;
}

/** Where a number stands: one or two keys. */
type Place = readonly [key: string] | readonly [parent: string, key: string];

interface LimitFormat {
  /** Every spelling; those that are present are changed, the first is written where none is. */
  readonly limits: readonly Place[];
  readonly answers: readonly Place[];
  readonly thinking: readonly Place[];
}

const ANTHROPIC: LimitFormat = {
  limits: [['max_tokens']],
  answers: [],
  thinking: [['thinking', 'budget_tokens']],
};
/** Google's servers take both spellings of a field (ProtoJSON). */
const GEMINI: LimitFormat = {
  limits: [
    ['generationConfig', 'maxOutputTokens'],
    ['generationConfig', 'max_output_tokens'],
    ['generation_config', 'max_output_tokens'],
    ['generation_config', 'maxOutputTokens'],
  ],
  answers: [
    ['generationConfig', 'candidateCount'],
    ['generationConfig', 'candidate_count'],
    ['generation_config', 'candidate_count'],
    ['generation_config', 'candidateCount'],
  ],
  thinking: [],
};

const FORMATS: Readonly<Partial<Record<Format, LimitFormat>>> = {
  anthropic_messages: ANTHROPIC,
  google_raw_predict: ANTHROPIC,
  bedrock_model_invoke: ANTHROPIC,
  bedrock_converse: { limits: [['inferenceConfig', 'maxTokens']], answers: [], thinking: [] },
  openai_chat: {
    limits: [['max_completion_tokens'], ['max_tokens']],
    answers: [['n'], ['best_of']],
    thinking: [],
  },
  openai_completions: { limits: [['max_tokens']], answers: [['n'], ['best_of']], thinking: [] },
  openai_responses: { limits: [['max_output_tokens']], answers: [], thinking: [] },
  gemini_generate_content: GEMINI,
  google_generate_content: GEMINI,
};

/** Formats whose answers are no text: a limit on tokens means nothing. */
const WITHOUT_TOKENS: ReadonlySet<Format> = new Set<Format>([
  'openai_embeddings',
  'openai_moderations',
  'openai_files',
  'openai_objects',
  'anthropic_count_tokens',
  'anthropic_files',
  'gemini_count_tokens',
  'gemini_embed_content',
  'gemini_caches',
  'models',
]);

/** Reads the limit of a request's body; `facts` and `body` belong together. Total. */
export function readOutputLimit(format: Format, body: Buffer, facts: BodyFacts | null): OutputLimit {
  const known = facts?.kind === 'json' ? FORMATS[format] : undefined;
  const producesTokens = !WITHOUT_TOKENS.has(format);
  if (known === undefined || facts === null)
    return { written: null, answers: 1, thinking: 0, clampable: false, producesTokens };
  const counts = (places: readonly Place[]): number[] =>
    places
      .flatMap((place) => membersAt(body, facts, place).map((member) => countOf(body, member)))
      .filter((count) => count !== null);
  const written = counts(known.limits);
  return {
    // Of several spellings the provider may take any: the highest is what can come.
    written: written.length === 0 ? null : Math.max(...written),
    answers: Math.max(1, ...counts(known.answers), ...quotedCounts(body, facts, known.answers)),
    thinking: Math.max(0, ...counts(known.thinking)),
    clampable: true,
    producesTokens,
  };
}

/**
 * What to change so that one answer has at most `tokens`. `key` replaces the first spelling where
 * none is present (older servers know `max_tokens` only).
 */
export function limitPatches(
  format: Format,
  body: Buffer,
  facts: BodyFacts,
  tokens: number,
  key: string | null = null,
): readonly BodyPatch[] {
  const known = FORMATS[format];
  if (known === undefined || facts.kind !== 'json') return [];
  const text = String(tokens);
  const patches: BodyPatch[] = [];
  for (const place of known.limits) {
    for (const { valueStart, valueEnd } of membersAt(body, facts, place))
      patches.push({ start: valueStart, end: valueEnd, text });
  }
  if (patches.length > 0) return patches;
  const [first] = known.limits;
  return first === undefined ? [] : [insertion(body, facts, key === null ? first : [key], text)];
}

function insertion(body: Buffer, facts: BodyFacts, place: Place, text: string): BodyPatch {
  const [outer, inner] = place;
  const parent = inner === undefined ? null : facts.span(outer);
  if (inner !== undefined && parent !== null && body[parent.start] === OPEN) {
    const isEmpty = scanJsonObject(body, parent.start).length === 0;
    const at = parent.start + 1;
    return { start: at, end: at, text: `${JSON.stringify(inner)}:${text}${isEmpty ? '' : ','}` };
  }
  const value = inner === undefined ? text : `{${JSON.stringify(inner)}:${text}}`;
  if (parent !== null) return { ...parent, text: value };
  const last = facts.members.at(-1);
  const at = last?.valueEnd ?? body.indexOf('{') + 1;
  return { start: at, end: at, text: `${last === undefined ? '' : ','}${JSON.stringify(outer)}:${value}` };
}

const OPEN = 0x7b;

/** Lenient servers take a number in quotes for a number. */
function quotedCounts(body: Buffer, facts: BodyFacts, places: readonly Place[]): readonly number[] {
  return places.flatMap((place) =>
    membersAt(body, facts, place).flatMap(({ valueStart, valueEnd }) => {
      const value: unknown = JSON.parse(body.toString('utf8', valueStart, valueEnd));
      const number = typeof value === 'string' ? Math.ceil(Number(value)) : Number.NaN;
      return number >= 0 ? [number] : [];
    }),
  );
}

/** A key that is written twice within its parent counts each time: whichever a provider takes. */
function membersAt(body: Buffer, facts: BodyFacts, [outer, inner]: Place): readonly JsonMember[] {
  const member = facts.members.find(({ key }) => key === outer);
  if (member === undefined) return [];
  if (inner === undefined) return [member];
  return body[member.valueStart] === OPEN
    ? scanJsonObject(body, member.valueStart).filter(({ key }) => key === inner)
    : [];
}

function countOf(body: Buffer, { valueStart, valueEnd }: JsonMember): number | null {
  const value: unknown = JSON.parse(body.toString('utf8', valueStart, valueEnd));
  return typeof value === 'number' && value >= 0 ? Math.ceil(value) : null;
}
