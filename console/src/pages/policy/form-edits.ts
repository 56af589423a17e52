/** What the forms have in common: edits of the draft by path. */

export type Edit =
  | { readonly path: (string | number)[]; readonly value: unknown }
  | { readonly path: (string | number)[]; readonly remove: true };

/** Changes the draft; `onDone` once it has. */
export type ApplyEdits = (edits: readonly Edit[], onDone: () => void) => void;

export interface FormPartProps {
  readonly document: Readonly<Record<string, unknown>>;
  readonly isReadOnly: boolean;
  readonly isBusy: boolean;
  readonly apply: ApplyEdits;
}

/** Words apart by commas, spaces or lines. */
export function wordsOf(text: string): string[] {
  return text.split(/[\s,]+/).filter((word) => word !== '');
}

/** Edits of the members of one object: what is undefined is removed where it was, and else left out. */
export function memberEdits(
  path: readonly (string | number)[],
  before: Readonly<Record<string, unknown>>,
  after: Readonly<Record<string, unknown>>,
): readonly Edit[] {
  return Object.entries(after).flatMap(([name, value]): Edit[] => {
    if (JSON.stringify(before[name]) === JSON.stringify(value)) return [];
    if (value === undefined) return [{ path: [...path, name], remove: true }];
    return [{ path: [...path, name], value }];
  });
}
