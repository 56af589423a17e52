/** Completion and hints from the document's JSON Schema, and from names that the document itself defines. */
import {
  type Completion,
  type CompletionContext,
  type CompletionResult,
  snippet,
} from '@codemirror/autocomplete';
import type { EditorView } from '@codemirror/view';
import { entriesOf, isRecord, itemsOf, placeAt, readDocument, textOf } from './hujson.ts';

export type JsonSchema = Readonly<Record<string, unknown>>;
type Path = readonly (string | number)[];

/** The part of the schema that holds for a path; null where it says nothing. */
export function schemaAt(schema: JsonSchema, path: Path): JsonSchema | null {
  let at: unknown = schema;
  for (const step of path) {
    if (!isRecord(at)) return null;
    const { properties, additionalProperties, items } = at;
    if (typeof step === 'number') at = items;
    else
      at = isRecord(properties) && Object.hasOwn(properties, step) ? properties[step] : additionalProperties;
  }
  return isRecord(at) ? at : null;
}

/** Which member of the document defines the names that a key takes. */
const DEFINED_BY: Readonly<Record<string, string>> = {
  bucket: 'quotas',
  parent: 'quotas',
  overdraft: 'quotas',
  guardrails: 'guardrails',
  approval: 'approvals',
  src: 'groups',
  leads: 'groups',
};

/** Completion at the cursor: members that are not there yet, and values that are allowed. */
export function completions(schema: JsonSchema): (context: CompletionContext) => CompletionResult | null {
  return (context) => {
    const text = context.state.doc.toString();
    const place = placeAt(text, context.pos);
    if (place.role === 'none') return null;
    if (place.from === context.pos && !context.explicit) return null;
    const here = schemaAt(schema, place.path);
    const options =
      place.role === 'key'
        ? memberOptions(here, place.siblings)
        : valueOptions(here, definedNames(text, place.path));
    return options.length === 0 ? null : { from: place.from, options, validFor: /^"?[\w.$/-]*$/ };
  };
}

function memberOptions(here: JsonSchema | null, siblings: readonly string[]): readonly Completion[] {
  return entriesOf(here?.['properties'])
    .filter(([name]) => !siblings.includes(name))
    .map(([name, value]) => {
      const member = isRecord(value) ? value : {};
      return {
        label: `"${name}"`,
        displayLabel: name,
        type: 'property',
        detail: typeText(member),
        info: textOf(member['description']),
        apply: replacingString(`"${name}"`, `"${name}": ${stubOf(member)},`),
      };
    });
}

function valueOptions(here: JsonSchema | null, names: readonly string[]): readonly Completion[] {
  const info = textOf(here?.['description']);
  const isFlag = here?.['type'] === 'boolean';
  const words = isFlag ? ['true', 'false'] : itemsOf(here?.['enum']).map((value) => JSON.stringify(value));
  return [...words, ...names.map((name) => JSON.stringify(name))].map((label) => ({
    label,
    displayLabel: label.replaceAll('"', ''),
    type: isFlag ? 'keyword' : 'enum',
    info,
    apply: replacingString(label, label),
  }));
}

function definedNames(text: string, path: Path): readonly string[] {
  const key = path.findLast((step) => typeof step === 'string');
  const source = key === undefined ? undefined : DEFINED_BY[key];
  if (source === undefined) return [];
  return entriesOf(readDocument(text)?.[source]).map(([name]) => name);
}

/** What is half typed goes, with the quote that was closed by itself; a member that has its colon keeps its value. */
function replacingString(
  alone: string,
  whole: string,
): (view: EditorView, completion: Completion, from: number, to: number) => void {
  return (view, completion, from, to) => {
    const after = view.state.sliceDoc(to, to + 200);
    const rest = /^[\w.$/-]*"?/.exec(after)?.[0].length ?? 0;
    const hasColon = /^\s*:/.test(after.slice(rest));
    const text = hasColon ? alone : whole;
    snippet(text.replaceAll(/\$(?!\{)/g, '\\$'))(view, completion, from, to + rest);
  };
}

function stubOf(member: JsonSchema): string {
  const type = itemsOf(member['type']).find((one) => typeof one === 'string') ?? member['type'];
  if (Array.isArray(member['enum']) || type === 'string') return '"${}"';
  if (type === 'array') return '[${}]';
  if (type === 'object') return '{${}}';
  return '${}';
}

function typeText(member: JsonSchema): string {
  if (Array.isArray(member['enum'])) return 'choice';
  const { type } = member;
  return Array.isArray(type) ? type.join(' or ') : textOf(type);
}

/** What the schema says about the member or value at a position; null where nothing. */
export function hintAt(
  schema: JsonSchema,
  text: string,
  offset: number,
): { from: number; text: string } | null {
  const place = placeAt(text, offset);
  if (place.role === 'none') return null;
  const word = /^"(?:[^"\\\n]|\\.)*"/.exec(text.slice(place.from));
  if (word === null) return null;
  const path = place.role === 'key' ? [...place.path, word[0].slice(1, -1)] : place.path;
  const description = textOf(schemaAt(schema, path)?.['description']);
  return description === '' ? null : { from: place.from, text: description };
}
