/** Reading fields of JSON that others wrote. */

export type Fields = Readonly<Record<string, unknown>>;

/** The value's fields if it is an object, else none. */
export function asFields(value: unknown): Fields {
  return isFields(value) ? value : {};
}

/** As `asFields`, of JSON text or bytes; none if it is not JSON. */
export function parseFields(json: string | Uint8Array): Fields {
  try {
    return asFields(JSON.parse(typeof json === 'string' ? json : Buffer.from(json).toString('utf8')));
  } catch {
    return {};
  }
}

/** A field that is a string and not empty. */
export function textField(fields: Fields, name: string): string | null {
  const value = fields[name];
  return typeof value === 'string' && value !== '' ? value : null;
}

function isFields(value: unknown): value is Fields {
  return typeof value === 'object' && value !== null;
}
