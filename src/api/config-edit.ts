/**
 * Edits of a HuJSON text by path that leave every comment and every other byte as they are: what a form
 * changes, a person would have changed by hand in the same way.
 */
import { type HujsonDocument, type JsonPath, type JsonValue, parseHujson } from '../wire/hujson.ts';

/** Sets the value at a path, making what is missing on the way; or takes it away. */
export type DocumentEdit =
  | { readonly path: JsonPath; readonly value: JsonValue }
  | { readonly path: JsonPath; readonly remove: true };

/** An edit that cannot be made; the message is safe to show. */
export interface EditFault {
  readonly fault: string;
}

/** The text with the edit, or why not. Throws `HujsonError` where the text is no HuJSON. */
export function editDocument(text: string, edit: DocumentEdit): { readonly text: string } | EditFault {
  const source = text.trim() === '' ? '{}\n' : text;
  const document = parseHujson(source);
  if ('remove' in edit) return removeAt(source, document, edit.path);
  const span = document.spanOf(edit.path);
  if (span !== null) {
    const indent = indentOf(source, span.start);
    return { text: splice(source, span.start, span.end, written(edit.value, indent)) };
  }
  return insertAt(source, document, edit);
}

function insertAt(
  text: string,
  document: HujsonDocument,
  { path, value }: { readonly path: JsonPath; readonly value: JsonValue },
): { readonly text: string } | EditFault {
  let depth = path.length - 1;
  while (depth >= 0 && document.spanOf(path.slice(0, depth)) === null) depth -= 1;
  const parentPath = path.slice(0, Math.max(0, depth));
  const name = path[parentPath.length];
  const parent = valueAt(document, parentPath);
  if (name === undefined) return { fault: 'the path is empty' };
  // What is missing below is made around the value.
  let inner = value;
  for (const part of path.slice(parentPath.length + 1).toReversed()) {
    if (typeof part === 'number' && part !== 0)
      return { fault: `${shown(path)}: a list that is not there begins with element 0` };
    inner = typeof part === 'number' ? [inner] : { [part]: inner };
  }
  if (Array.isArray(parent)) {
    if (name !== parent.length)
      return {
        fault: `${shown(path)}: the list has ${parent.length} elements; the next one is ${parent.length}`,
      };
  } else if (typeof parent !== 'object' || parent === null || typeof name !== 'string') {
    return { fault: `${shown(path)}: ${shown(parentPath)} cannot have a member ${JSON.stringify(name)}` };
  }
  return { text: append(text, document, { parentPath, parent, name, value: inner }) };
}

interface Addition {
  readonly parentPath: JsonPath;
  readonly parent: JsonValue[] | { readonly [key: string]: JsonValue };
  readonly name: string | number;
  readonly value: JsonValue;
}

/** Behind the last element, with its comma and what is noted behind it on the same line. */
function append(
  text: string,
  document: HujsonDocument,
  { parentPath, parent, name, value }: Addition,
): string {
  const span = document.spanOf(parentPath) ?? { start: 0, end: text.length };
  const close = span.end - 1;
  const outer = indentOf(text, span.start);
  const keys = Array.isArray(parent) ? parent.map((_, i) => i) : Object.keys(parent);
  const spans = keys.map((key) => document.spanOf([...parentPath, key])).filter((found) => found !== null);
  const last = spans.reduce<number | null>((end, found) => Math.max(end ?? 0, found.end), null);
  const first = spans[0];
  const own = first === undefined ? null : indentOf(text, first.start);
  // Elements that stand on the line of their parent say nothing of an indent.
  const indent = own !== null && own.length > outer.length ? own : `${outer}  `;
  const member = (typeof name === 'string' ? `${JSON.stringify(name)}: ` : '') + written(value, indent);
  if (last === null) {
    const before = text.slice(0, close).trimEnd();
    return `${before}\n${indent}${member},\n${outer}${text.slice(close)}`;
  }
  const comma = findComma(text, last, close);
  const withComma = comma === null ? splice(text, last, last, ',') : text;
  const shift = comma === null ? 1 : 0;
  const from = comma === null ? last + 1 : comma + 1;
  const at = endOfNotes(withComma, from, close + shift);
  const rest = withComma.slice(at);
  const gap = /^\s*$/.test(withComma.slice(at, close + shift)) && !rest.startsWith('\n') ? `\n${outer}` : '';
  return `${withComma.slice(0, at)}\n${indent}${member},${gap}${gap === '' ? rest : withComma.slice(close + shift)}`;
}

function removeAt(
  text: string,
  document: HujsonDocument,
  path: JsonPath,
): { readonly text: string } | EditFault {
  const span = document.spanOf(path);
  const name = path.at(-1);
  if (span === null || name === undefined) return { fault: `${shown(path)}: there is nothing to remove` };
  const parentPath = path.slice(0, -1);
  const parentSpan = document.spanOf(parentPath) ?? { start: 0, end: text.length };
  let start =
    typeof name === 'string' ? keyStart(text, document, { path, parentStart: parentSpan.start }) : span.start;
  let { end } = span;
  const comma = findComma(text, end, parentSpan.end - 1);
  if (comma !== null) end = comma + 1;
  // A line that held nothing else goes, too.
  const lineStart = text.lastIndexOf('\n', start - 1) + 1;
  const lineEnd = text.indexOf('\n', end);
  const isAlone =
    text.slice(lineStart, start).trim() === '' && lineEnd >= 0 && text.slice(end, lineEnd).trim() === '';
  if (isAlone) {
    start = lineStart;
    end = lineEnd + 1;
  }
  return { text: splice(text, start, end, '') };
}

/** Where the name of a member begins, looked for from the end of the element before it. */
function keyStart(
  text: string,
  document: HujsonDocument,
  { path, parentStart }: { readonly path: JsonPath; readonly parentStart: number },
): number {
  const parentPath = path.slice(0, -1);
  const parent = valueAt(document, parentPath);
  const own = document.spanOf(path)?.start ?? 0;
  let from = parentStart + 1;
  for (const key of typeof parent === 'object' && parent !== null ? Object.keys(parent) : []) {
    const end = document.spanOf([...parentPath, key])?.end ?? 0;
    if (end <= own) from = Math.max(from, end);
  }
  let at = from;
  while (at < own) {
    const next = skipNote(text, at);
    if (next !== at) at = next;
    else if (text.charAt(at) === '"') return at;
    else at += 1;
  }
  return own;
}

/** The comma behind an element; null if there is none before the end of its list. */
function findComma(text: string, from: number, end: number): number | null {
  let at = from;
  while (at < end) {
    const next = skipNote(text, at);
    if (next !== at) at = next;
    else if (text.charAt(at) === ',') return at;
    else if (/\s/.test(text.charAt(at))) at += 1;
    else return null;
  }
  return null;
}

/** Behind the notes that stand on the same line. */
function endOfNotes(text: string, from: number, end: number): number {
  let at = from;
  let behind = from;
  while (at < end && text.charAt(at) !== '\n') {
    const next = skipNote(text, at);
    if (next !== at) {
      at = text.charAt(next - 1) === '\n' ? next - 1 : next;
      behind = at;
    } else if (/\s/.test(text.charAt(at))) at += 1;
    else break;
  }
  return behind;
}

/** Behind the comment that begins here; the same place if none does. */
function skipNote(text: string, at: number): number {
  if (text.startsWith('//', at)) {
    const end = text.indexOf('\n', at);
    return end < 0 ? text.length : end + 1;
  }
  if (!text.startsWith('/*', at)) return at;
  const end = text.indexOf('*/', at + 2);
  return end < 0 ? text.length : end + 2;
}

function valueAt(document: HujsonDocument, path: JsonPath): JsonValue | undefined {
  let value: JsonValue | undefined = document.value;
  for (const part of path) {
    if (Array.isArray(value)) value = typeof part === 'number' ? value[part] : undefined;
    else if (typeof value === 'object' && value !== null) value = value[part];
    else return undefined;
  }
  return value;
}

function indentOf(text: string, at: number): string {
  const lineStart = text.lastIndexOf('\n', at - 1) + 1;
  return /^[ \t]*/.exec(text.slice(lineStart, at))?.[0] ?? '';
}

/** Short lists of plain values on one line, all else with an indent of two. */
function written(value: JsonValue, indent: string): string {
  const flat = JSON.stringify(value);
  const isPlain = typeof value !== 'object' || value === null || Array.isArray(value);
  const isShallow = !Array.isArray(value) || value.every((part) => typeof part !== 'object' || part === null);
  if (isPlain && isShallow && flat.length <= 80) return flat;
  return JSON.stringify(value, null, 2).replaceAll('\n', `\n${indent}`);
}

function splice(text: string, start: number, end: number, by: string): string {
  return text.slice(0, start) + by + text.slice(end);
}

function shown(path: JsonPath): string {
  return path.length === 0 ? 'the document' : path.map(String).join('.');
}
