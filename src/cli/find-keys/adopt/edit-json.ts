/**
 * Edits of JSON settings with comments and trailing commas allowed: one value changes, or one member
 * is added as the first of its object; everything else stays byte for byte.
 */
import { type JsonPath, type JsonValue, parseHujson } from '../../../wire/hujson.ts';

/** Paths of every string that is the key itself, in document order. Throws `HujsonError`. */
export function pathsOfString(text: string, key: string): readonly JsonPath[] {
  const found: JsonPath[] = [];
  const walk = (value: JsonValue, path: JsonPath): void => {
    if (value === key) found.push(path);
    else if (Array.isArray(value)) value.forEach((item, index) => walk(item, [...path, index]));
    else if (typeof value === 'object' && value !== null)
      for (const [name, member] of Object.entries(value)) walk(member, [...path, name]);
  };
  walk(parseHujson(text).value, []);
  return found;
}

/** The value at a path, or undefined. Throws `HujsonError`. */
export function jsonAt(text: string, path: JsonPath): JsonValue | undefined {
  let value: JsonValue | undefined = parseHujson(text).value;
  for (const part of path) {
    if (typeof part === 'number') value = Array.isArray(value) ? value[part] : undefined;
    else
      value = typeof value === 'object' && value !== null && !Array.isArray(value) ? value[part] : undefined;
  }
  return value;
}

/**
 * Sets the string at a path; objects that are missing on the way are added. Null where something
 * else than an object is in the way. Throws `HujsonError`.
 */
export function setJson(text: string, path: JsonPath, value: string): string | null {
  const document = parseHujson(text);
  for (let length = path.length; length >= 0; length -= 1) {
    const span = document.spanOf(path.slice(0, length));
    if (span === null) continue;
    if (length === path.length) return replace(text, span.start, span.end, JSON.stringify(value));
    return text.charAt(span.start) === '{' ? addMember(text, span, path.slice(length), value) : null;
  }
  return null;
}

/** Gives the member at a path another name. Throws `HujsonError`. */
export function renameMember(text: string, path: JsonPath, name: string): string | null {
  const span = parseHujson(text).spanOf(path);
  const former = JSON.stringify(path.at(-1));
  if (span === null) return null;
  const at = text.lastIndexOf(former, span.start - 1);
  // Between a name and its value there is a colon and nothing else but space.
  if (at < 0 || !/^\s*:\s*$/.test(text.slice(at + former.length, span.start))) return null;
  return replace(text, at, at + former.length, JSON.stringify(name));
}

/** As the first member, before which no comma is needed. */
function addMember(
  text: string,
  object: { readonly start: number; readonly end: number },
  path: JsonPath,
  value: string,
): string | null {
  if (path.some((part) => typeof part === 'number')) return null;
  const inside = text.slice(object.start + 1, object.end - 1);
  const isEmpty = inside.trim() === '';
  const [name, ...rest] = path;
  const nested = rest.toReversed().reduce<unknown>((inner, part) => ({ [part]: inner }), value);
  const lead = /^(\s*\n)([ \t]*)(?=\S)/.exec(inside);
  const comma = isEmpty ? '' : ',';
  if (lead === null) {
    const member = `${JSON.stringify(name)}: ${JSON.stringify(nested)}`;
    const space = isEmpty || /^\s/.test(inside) ? '' : ' ';
    return replace(
      text,
      object.start + 1,
      object.start + 1,
      `${isEmpty ? '' : (/^[ \t]+/.exec(inside)?.[0] ?? '')}${member}${comma}${space}`,
    );
  }
  const indent = lead[2] ?? '';
  const eol = (lead[1] ?? '').includes('\r\n') ? '\r\n' : '\n';
  const rendered = JSON.stringify(nested, null, indent === '' ? 2 : unitOf(text, indent))
    .split('\n')
    .join(eol + indent);
  return replace(
    text,
    object.start + 1,
    object.start + 1,
    `${eol}${indent}${JSON.stringify(name)}: ${rendered}${comma}`,
  );
}

/** One level of indentation: that of the document's first indented line. */
function unitOf(text: string, indent: string): string {
  return /\n([ \t]+)\S/.exec(text)?.[1] ?? indent;
}

function replace(text: string, start: number, end: number, by: string): string {
  return text.slice(0, start) + by + text.slice(end);
}
