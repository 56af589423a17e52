/**
 * Reads fields of the server's JSON. The server may be another release or not Postern at all, so
 * nothing is taken for granted: a missing or odd field reads as null, never as an exception.
 */

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function objectAt(value: unknown, name: string): JsonObject | null {
  const found = isObject(value) ? value[name] : undefined;
  return isObject(found) ? found : null;
}

export function textAt(value: unknown, name: string): string | null {
  const found = isObject(value) ? value[name] : undefined;
  return typeof found === 'string' ? found : null;
}

export function numberAt(value: unknown, name: string): number | null {
  const found = isObject(value) ? value[name] : undefined;
  return typeof found === 'number' && Number.isFinite(found) ? found : null;
}

export function listAt(value: unknown, name: string): readonly unknown[] {
  const found = isObject(value) ? value[name] : undefined;
  return Array.isArray(found) ? found : [];
}

/** The strings of a list; others are left out. */
export function textsAt(value: unknown, name: string): readonly string[] {
  return listAt(value, name).filter((item) => typeof item === 'string');
}
