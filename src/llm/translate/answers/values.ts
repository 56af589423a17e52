/** Careful readers for values of strangers. */

export function stringOf(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** The text, or '' for anything else. */
export function textOf(value: unknown): string {
  return typeof value === 'string' ? value : '';
}
