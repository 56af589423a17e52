/**
 * Names of buckets: a quota's name with its templates filled in (`user:<user>` to
 * `user:alice@example.com`). Two callers never get one name by the choice of a value: within
 * values, what could be mistaken for the template's own text is written as `%XX`.
 */

export const TEMPLATE_NAMES = [
  'user',
  'node',
  'group',
  'agent',
  'session',
  'token',
  'model',
  'provider',
] as const;
export type TemplateName = (typeof TEMPLATE_NAMES)[number];

/** Said by the caller and believed for nothing but counting. */
export const LABELS: ReadonlySet<TemplateName> = new Set(['agent', 'session']);
/** Names that callers choose, labels and models (a pattern may grant any): how many count by themselves is capped. */
export const CHOSEN_BY_CALLERS: ReadonlySet<TemplateName> = new Set(['agent', 'session', 'model']);
/** Who or what answers for a request. */
export const HOLDERS: ReadonlySet<TemplateName> = new Set(['user', 'node', 'token']);

/** In place of a value that the request does not have. Values themselves never hold a bracket. */
export const ABSENT = '(none)';
/** Stands for a chosen value beyond the cap: no value that a caller can write is it. */
export const OVERFLOW: unique symbol = Symbol('overflow');
const OTHER = '(other)';

/** Longer names are cut and marked; no identity source gives such. */
const VALUE_CHARS_MAX = 512;

export interface BucketTemplate {
  readonly names: readonly TemplateName[];
  /** Text before, between and after the names: one more than `names`. */
  readonly literals: readonly string[];
}

export type TemplateValues = Readonly<Partial<Record<TemplateName, string | null | typeof OVERFLOW>>>;

/**
 * Reads a quota's name. What stands in angle brackets and is no known name stays text (the document
 * check refuses it). Text between two names that could be part of a value gets a colon.
 */
export function parseBucketTemplate(text: string): BucketTemplate {
  const names: TemplateName[] = [];
  const literals: string[] = [];
  let from = 0;
  for (const match of text.matchAll(/<([a-z]+)>/g)) {
    const name = TEMPLATE_NAMES.find((known) => known === match[1]);
    if (name === undefined) continue;
    const literal = text.slice(from, match.index);
    literals.push(names.length > 0 && !/[^A-Za-z0-9@._+-]/.test(literal) ? `${literal}:` : literal);
    names.push(name);
    from = match.index + match[0].length;
  }
  literals.push(text.slice(from));
  return { names, literals };
}

/**
 * As `parseBucketTemplate`; a label bucket that names nobody gets its caller's name: whoever writes
 * another's label does not spend there.
 */
export function parseQuotaTemplate(name: string): BucketTemplate {
  const template = parseBucketTemplate(name);
  const isOwned =
    template.names.some((part) => HOLDERS.has(part)) || !template.names.some((part) => LABELS.has(part));
  return isOwned ? template : parseBucketTemplate(`${name}/<user>`);
}

/** The name of the bucket for these values; an absent one is `(none)`. Total, and different for different values. */
export function fillTemplate(template: BucketTemplate, values: TemplateValues): string {
  const { names, literals } = template;
  let text = literals[0] ?? '';
  // With one name nothing can be mistaken, so that `user:tag:ci` reads as people write it.
  const plain = names.length > 1 ? PLAIN_AMONG_SEVERAL : PLAIN_ALONE;
  for (let i = 0; i < names.length; i += 1) {
    const name = names[i];
    const value = name === undefined ? null : (values[name] ?? null);
    text += partOf(value, plain) + (literals[i + 1] ?? '');
  }
  return text;
}

/** How a value stands in the name of a bucket whose template has so many names. */
export function writtenValue(value: string | null, names: number): string {
  return partOf(value, names > 1 ? PLAIN_AMONG_SEVERAL : PLAIN_ALONE);
}

/** `fillTemplate` for a name that is read at once. */
export function expandBucket(name: string, values: TemplateValues): string {
  return fillTemplate(parseBucketTemplate(name), values);
}

const PLAIN_AMONG_SEVERAL = /^[A-Za-z0-9@._+-]+$/;
const PLAIN_ALONE = /^[A-Za-z0-9@._+:/, -]+$/;

function partOf(value: string | null | typeof OVERFLOW, plain: RegExp): string {
  if (value === OVERFLOW) return OTHER;
  return value === null || value === '' ? ABSENT : escapeValue(value, plain);
}

function escapeValue(value: string, plain: RegExp): string {
  if (value.length <= VALUE_CHARS_MAX && plain.test(value)) return value;
  let text = '';
  for (const char of value.slice(0, VALUE_CHARS_MAX)) {
    if (plain.test(char)) text += char;
    else for (const byte of Buffer.from(char, 'utf8')) text += `%${byte.toString(16).padStart(2, '0')}`;
  }
  return value.length > VALUE_CHARS_MAX ? `${text}(${value.length})` : text;
}
