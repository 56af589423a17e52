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

/** The names of the tools that a request offers, in any of the formats. */
export function toolNames(body: JsonObject): readonly string[] {
  const config = body['toolConfig'];
  const tools = body['tools'] ?? (isObject(config) ? config['tools'] : undefined);
  return Array.isArray(tools) ? tools.flatMap((tool: unknown) => namesOf(tool)) : [];
}

function namesOf(tool: unknown): readonly string[] {
  if (!isObject(tool)) return [];
  const declared = tool['functionDeclarations'];
  const places: readonly unknown[] = Array.isArray(declared)
    ? declared
    : [tool, tool['function'], tool['toolSpec']];
  return places.flatMap((place) =>
    isObject(place) && typeof place['name'] === 'string' ? [place['name']] : [],
  );
}
