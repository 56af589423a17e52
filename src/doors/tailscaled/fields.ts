/** Objects of parsed JSON, whose fields are still unknown. */
export type Fields = Readonly<Record<string, unknown>>;

/** The value as an object with fields, or null for anything else (lists too). */
export function asFields(value: unknown): Fields | null {
  return isFields(value) ? value : null;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
