/**
 * Pages of a provider's list of objects: what the caller asks for, what is asked of the provider,
 * and the page that is left when what others made is taken out. Objects keep their bytes.
 */
import {
  JsonScanError,
  scanJsonArray,
  scanJsonDocument,
  scanJsonObject,
  type JsonSpan,
} from '../../wire/json-scan.ts';
import type { Dialect, ObjectKind } from '../../llm/index.ts';
import { Refused } from '../reasons.ts';

/** One object of a list, in the bytes of its page. */
export interface ListedObject {
  readonly id: string;
  readonly bytes: Buffer;
}

export interface ProviderPage {
  readonly objects: readonly ListedObject[];
  readonly hasMore: boolean;
  /** Where the next page begins; null if there is none or the provider does not tell. */
  readonly next: string | null;
}

/** What the caller asked for. */
export interface ListQuestion {
  readonly limit: number;
  /** Id of the caller's own object (OpenAI, Anthropic) or the provider's own mark (Google). */
  readonly after: string | null;
  /** Anthropic's way back: the page that ends before this object. */
  readonly before: string | null;
  /** Filters and order, which go to the provider as they are. */
  readonly filters: readonly (readonly [string, string])[];
}

/** How a dialect names the parts of a list. */
interface ListNames {
  readonly limit: string;
  readonly after: string;
  readonly before: string | null;
  readonly filters: readonly string[];
}

const NAMES: Readonly<Record<Dialect, ListNames>> = {
  openai: { limit: 'limit', after: 'after', before: null, filters: ['order', 'purpose', 'name'] },
  anthropic: { limit: 'limit', after: 'after_id', before: 'before_id', filters: [] },
  google: { limit: 'pageSize', after: 'pageToken', before: null, filters: [] },
  bedrock: { limit: 'limit', after: 'after', before: null, filters: [] },
};

const LIMIT_DEFAULT = 20;
/** What the providers give at most in one page; for OpenAI's files it is far more, which is not needed. */
const LIMIT_MAX: Readonly<Partial<Record<ObjectKind, number>>> = {
  file: 1_000,
  message_batch: 1_000,
  cache: 1_000,
};
const LIMIT_MAX_USUAL = 100;

export function limitMaxOf(kind: ObjectKind): number {
  return LIMIT_MAX[kind] ?? LIMIT_MAX_USUAL;
}

/** Throws `body_invalid` for a parameter that is there twice or that cannot be. Unknown ones are left out. */
export function readListQuestion(query: string, dialect: Dialect, kind: ObjectKind): ListQuestion {
  const names = NAMES[dialect];
  const parameters = new URLSearchParams(query);
  const one = (name: string): string | null => {
    const values = parameters.getAll(name);
    if (values.length > 1 || (values[0]?.length ?? 0) > 1_024)
      throw new Refused('body_invalid', `the parameter "${name}" must be there once, and short`);
    return values[0] ?? null;
  };
  const limitText = one(names.limit);
  const limit = limitText === null ? defaultLimit(dialect, kind) : Number(limitText);
  if (!Number.isInteger(limit) || limit < 1)
    throw new Refused('body_invalid', `"${names.limit}" must be a whole number above 0`);
  const filters: (readonly [string, string])[] = [];
  for (const name of names.filters) {
    const value = one(name);
    if (value !== null) filters.push([name, value]);
  }
  const before = names.before === null ? null : one(names.before);
  return { limit: Math.min(limit, limitMaxOf(kind)), after: one(names.after), before, filters };
}

function defaultLimit(dialect: Dialect, kind: ObjectKind): number {
  return dialect === 'openai' && kind === 'file' ? limitMaxOf(kind) : LIMIT_DEFAULT;
}

/** The query for one page of the provider, from `after` (or back from `before`). */
export function providerQuery(
  question: ListQuestion,
  place: { readonly dialect: Dialect; readonly kind: ObjectKind },
): string {
  const names = NAMES[place.dialect];
  const parameters = new URLSearchParams(question.filters.map(([name, value]) => [name, value]));
  parameters.set(names.limit, String(limitMaxOf(place.kind)));
  if (question.after !== null) parameters.set(names.after, question.after);
  else if (question.before !== null && names.before !== null) parameters.set(names.before, question.before);
  return parameters.toString();
}

/** Reads a provider's page; null if it is none. Never throws. */
export function readProviderPage(bytes: Buffer, dialect: Dialect): ProviderPage | null {
  try {
    const members = new Map(scanJsonDocument(bytes).map((member) => [member.key, member]));
    const value = (key: string): unknown => {
      const member = members.get(key);
      return member === undefined
        ? undefined
        : JSON.parse(bytes.toString('utf8', member.valueStart, member.valueEnd));
    };
    const list = members.get(dialect === 'google' ? 'cachedContents' : 'data');
    // Google leaves an empty list out.
    if (list === undefined) return dialect === 'google' ? { objects: [], hasMore: false, next: null } : null;
    const objects = scanJsonArray(bytes, list.valueStart).flatMap((span) => readListed(bytes, span, dialect));
    if (dialect === 'google') {
      const next = value('nextPageToken');
      return typeof next === 'string' && next !== ''
        ? { objects, hasMore: true, next }
        : { objects, hasMore: false, next: null };
    }
    const hasMore = value('has_more') === true;
    const last = value('last_id');
    return { objects, hasMore, next: typeof last === 'string' ? last : (objects.at(-1)?.id ?? null) };
  } catch (error) {
    if (error instanceof JsonScanError || error instanceof SyntaxError) return null;
    throw error;
  }
}

function readListed(bytes: Buffer, { start, end }: JsonSpan, dialect: Dialect): ListedObject[] {
  const key = dialect === 'google' ? 'name' : 'id';
  const member = scanJsonObject(bytes, start).find((candidate) => candidate.key === key);
  const id: unknown =
    member === undefined ? undefined : JSON.parse(bytes.toString('utf8', member.valueStart, member.valueEnd));
  return typeof id === 'string' ? [{ id, bytes: bytes.subarray(start, end) }] : [];
}

/** The caller's page. */
export function renderPage(
  dialect: Dialect,
  page: {
    readonly objects: readonly ListedObject[];
    readonly hasMore: boolean;
    readonly next: string | null;
  },
): Buffer {
  const { objects, hasMore, next } = page;
  const data = objects.flatMap(({ bytes }, index) => (index === 0 ? [bytes] : [COMMA, bytes]));
  const id = (object: ListedObject | undefined): string => JSON.stringify(object?.id ?? null);
  const [head, tail] =
    dialect === 'google'
      ? ['{"cachedContents":[', next === null ? ']}' : `],"nextPageToken":${JSON.stringify(next)}}`]
      : [
          dialect === 'openai' ? '{"object":"list","data":[' : '{"data":[',
          `],"first_id":${id(objects[0])},"last_id":${id(objects.at(-1))},"has_more":${hasMore}}`,
        ];
  return Buffer.concat([Buffer.from(head), ...data, Buffer.from(tail)]);
}

const COMMA = Buffer.from(',');
