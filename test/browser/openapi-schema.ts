/** The OpenAPI document as a stranger reads it: its operations, and values that its schemas admit. */
import fc from 'fast-check';
import { z } from 'zod';

type Json = Readonly<Record<string, unknown>>;

export interface Parameter {
  readonly name: string;
  readonly in: string;
  readonly schema: Json;
}

export interface Operation {
  readonly method: string;
  readonly path: string;
  readonly parameters: readonly Parameter[];
  /** Media type and schema of the body; null without one. */
  readonly body: { readonly type: string; readonly schema: Json } | null;
  /** By status or `default`: media type to schema. */
  readonly responses: ReadonlyMap<string, ReadonlyMap<string, Json>>;
}

export function isJson(value: unknown): value is Json {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function member(value: unknown, name: string): Json {
  const found = isJson(value) ? value[name] : undefined;
  return isJson(found) ? found : {};
}

/** Every operation of the document, its references resolved. */
export function operationsOf(document: Json): Operation[] {
  const schemas = member(member(document, 'components'), 'schemas');
  return Object.entries(member(document, 'paths')).flatMap(([path, methods]) =>
    Object.entries(isJson(methods) ? methods : {}).map(([method, raw]) => {
      const operation = isJson(raw) ? raw : {};
      const parameters = Array.isArray(operation['parameters']) ? operation['parameters'].filter(isJson) : [];
      const [type, media] = Object.entries(member(member(operation, 'requestBody'), 'content'))[0] ?? [];
      return {
        method: method.toUpperCase(),
        path,
        parameters: parameters.map((parameter) => ({
          name: String(parameter['name']),
          in: String(parameter['in']),
          schema: resolve(member(parameter, 'schema'), schemas),
        })),
        body: type === undefined ? null : { type, schema: resolve(member(media, 'schema'), schemas) },
        responses: new Map(
          Object.entries(member(operation, 'responses')).map(([status, response]) => [
            status,
            new Map(
              Object.entries(member(response, 'content')).map(([name, content]) => [
                name,
                resolve(member(content, 'schema'), schemas),
              ]),
            ),
          ]),
        ),
      };
    }),
  );
}

/** The document's schemas do not refer to themselves, so that this ends. */
function resolve(schema: Json, schemas: Json): Json {
  const reference = schema['$ref'];
  if (typeof reference === 'string')
    return resolve(member(schemas, reference.replace('#/components/schemas/', '')), schemas);
  const walk = (value: unknown): unknown => {
    if (Array.isArray(value)) return value.map(walk);
    if (!isJson(value)) return value;
    return '$ref' in value
      ? resolve(value, schemas)
      : Object.fromEntries(Object.entries(value).map(([name, inner]) => [name, walk(inner)]));
  };
  const walked = walk(schema);
  return isJson(walked) ? walked : {};
}

/** What is wrong with a value by a schema, or null. */
export function mismatch(schema: Json, value: unknown): string | null {
  const result = z.fromJSONSchema(schema).safeParse(value);
  return result.success ? null : z.prettifyError(result.error);
}

/** Text that has hurt some server: encodings, separators, prototype names, other programs' syntax. */
const HOSTILE: readonly string[] = [
  '',
  ' ',
  '\0',
  '%',
  '%00',
  '%ff',
  '../../etc/passwd',
  '..%2f..%2f',
  '__proto__',
  'constructor',
  `' OR 1=1 --`,
  '<script>alert(1)</script>',
  '\r\nx-injected: 1',
  '{{7*7}}',
  '$ne',
  '\u202E\uFEFF',
  '9'.repeat(400),
  '-1',
  '1e309',
  '99999999999999999999',
  '0000-00-00',
  '2026-02-30T25:61:61Z',
  'a'.repeat(5_000),
];

export const hostileText: fc.Arbitrary<string> = fc.oneof(
  fc.constantFrom(...HOSTILE),
  fc.string({ unit: 'binary', maxLength: 40 }),
);

/** Values that a schema admits, as far as it can be told from its types; else anything of JSON. */
export function valueOf(schema: Json): fc.Arbitrary<unknown> {
  if (Array.isArray(schema['enum'])) return fc.constantFrom(...schema['enum']);
  const type = Array.isArray(schema['type']) ? schema['type'][0] : schema['type'];
  switch (type) {
    case 'object':
      return objectOf(schema);
    case 'array':
      return fc.array(valueOf(member(schema, 'items')), { maxLength: 4 });
    case 'string':
      return fc.oneof(
        fc.string({ maxLength: 60 }),
        fc.constantFrom('default', '2026-01-01', 'day', 'a:b'),
        hostileText,
      );
    case 'integer':
    case 'number':
      return fc.oneof(fc.integer({ min: 0, max: 1_000 }), fc.integer(), fc.double({ noNaN: true }));
    case 'boolean':
      return fc.boolean();
    default:
      return fc.jsonValue({ maxDepth: 3 });
  }
}

function objectOf(schema: Json): fc.Arbitrary<unknown> {
  const properties = Object.entries(member(schema, 'properties'));
  const required = Array.isArray(schema['required']) ? schema['required'].map(String) : [];
  const model = Object.fromEntries(
    properties.map(([name, inner]) => [name, valueOf(isJson(inner) ? inner : {})]),
  );
  return fc.record(model, { requiredKeys: required.filter((name) => name in model) });
}
