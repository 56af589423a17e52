/** Reads members of a request's JSON; a wrong type is a 400, as at the providers. */
import { FakeError } from './envelopes.ts';

export type JsonObject = Readonly<Record<string, unknown>>;

export function isObject(value: unknown): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** The body as a JSON object. Throws `FakeError` 400 on anything else. */
export function parseJsonObject(body: Buffer): JsonObject {
  let value: unknown;
  try {
    value = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(body));
  } catch {
    throw new FakeError(400, 'the body is not JSON in UTF-8');
  }
  if (!isObject(value)) throw new FakeError(400, 'the body is not a JSON object');
  return value;
}

export function requireString(object: JsonObject, name: string): string {
  const value = object[name];
  if (typeof value !== 'string' || value === '')
    throw new FakeError(400, `missing required parameter: '${name}'`);
  return value;
}

export function requireArray(object: JsonObject, name: string): readonly unknown[] {
  const value = object[name];
  if (!Array.isArray(value)) throw new FakeError(400, `missing required parameter: '${name}'`);
  return value;
}

/** The name of the first tool that a request offers, in any of the formats; null where it offers none. */
export function firstToolName(body: JsonObject): string | null {
  const first: unknown = Array.isArray(body['tools']) ? body['tools'][0] : undefined;
  if (!isObject(first)) return null;
  const declared: unknown = Array.isArray(first['functionDeclarations'])
    ? first['functionDeclarations'][0]
    : undefined;
  for (const place of [first, first['function'], declared]) {
    if (isObject(place) && typeof place['name'] === 'string') return place['name'];
  }
  return null;
}
