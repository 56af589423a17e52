/** What the forms have in common: edits of the draft by path. */
import { entriesOf, isRecord } from './hujson.ts';

export type Edit =
  | { readonly path: (string | number)[]; readonly value: unknown }
  | { readonly path: (string | number)[]; readonly remove: true };

/** Changes the draft; `onDone` once it has. */
export type ApplyEdits = (edits: readonly Edit[], onDone: () => void) => void;

export interface FormPartProps {
  readonly document: Members;
  readonly isReadOnly: boolean;
  readonly isBusy: boolean;
  readonly apply: ApplyEdits;
}

/** Words apart by commas, spaces or lines. */
export function wordsOf(text: string): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== '');
}

export type Members = Readonly<Record<string, unknown>>;

/** One entry of a member of the document that holds entries by name. */
export interface NamedEntry {
  readonly name: string;
  readonly members: Members;
}

/** The entries of `providers` or `quotas`; what is no object has no members. */
export function namedEntries(document: Members, member: string): readonly NamedEntry[] {
  return entriesOf(document[member]).map(([name, value]) => ({
    name,
    members: isRecord(value) ? value : {},
  }));
}

/** Edits that add an entry, or change the one that `before` was. */
export function entryEdits(
  member: string,
  before: NamedEntry,
  { name, members }: NamedEntry,
): readonly Edit[] {
  if (before.name === '') return [{ path: [member, name], value: definedOf(members) }];
  return memberEdits([member, name], before.members, members);
}

/** Without the members that are undefined. */
export function definedOf(members: Members): Members {
  return Object.fromEntries(Object.entries(members).filter(([, value]) => value !== undefined));
}

/** Edits of the members of one object: what is undefined is removed where it was, and else left out. */
export function memberEdits(
  path: readonly (string | number)[],
  before: Members,
  after: Members,
): readonly Edit[] {
  return Object.entries(after).flatMap(([name, value]): Edit[] => {
    if (JSON.stringify(before[name]) === JSON.stringify(value)) return [];
    if (value === undefined) return [{ path: [...path, name], remove: true }];
    return [{ path: [...path, name], value }];
  });
}
