/**
 * Whose bucket a name is: the way back from names to callers, for showing people what is theirs. What
 * callers may choose (agent, session, model) and the provider stand for anything.
 */
import type { QuotaEntry } from '../policy/document.ts';
import { parseQuotaTemplate, type TemplateName, writtenValue } from './bucket-template.ts';

/** Of a caller; null where it has none. */
export interface HolderValues {
  readonly user: string;
  readonly node: string | null;
  readonly token: string | null;
  readonly groups: readonly string[];
}

/** What a value may hold once it is written into a name with several (`bucket-template.ts`), and the brackets of absent ones. */
const ANYTHING = '[A-Za-z0-9@._+()%-]+';
const ANYTHING_ALONE = '[A-Za-z0-9@._+:/, ()%-]+';
/** Text between two names is told from values by a character of its own; these are in values too. */
const AMBIGUOUS = /^[A-Za-z0-9@._+()%-]*$/;

/** What a quota's buckets are named after. */
export function templateNamesOf(entry: QuotaEntry): readonly TemplateName[] {
  return parseQuotaTemplate(entry.name).names;
}

/** Pure; false where a name could be read in two ways. */
export function isHeldBy(entry: QuotaEntry, bucket: string, values: HolderValues): boolean {
  const { names, literals } = parseQuotaTemplate(entry.name);
  if (names.length > 1 && literals.slice(1, -1).some((text) => AMBIGUOUS.test(text))) return false;
  const groups = names.includes('group') && values.groups.length > 0 ? values.groups : [null];
  return groups.some((group) => patternOf(names, literals, { ...values, group }).test(bucket));
}

type Values = Omit<HolderValues, 'groups'> & { readonly group: string | null };

function patternOf(names: readonly TemplateName[], literals: readonly string[], values: Values): RegExp {
  const anything = names.length > 1 ? ANYTHING : ANYTHING_ALONE;
  const parts = names.map((name) =>
    isFixed(name) ? literal(writtenValue(values[name], names.length)) : anything,
  );
  const text = literals.map((between, i) => literal(between) + (parts[i] ?? '')).join('');
  return new RegExp(`^${text}$`);
}

function isFixed(name: TemplateName): name is 'user' | 'node' | 'token' | 'group' {
  return name === 'user' || name === 'node' || name === 'token' || name === 'group';
}

function literal(text: string): string {
  return RegExp.escape(text);
}
