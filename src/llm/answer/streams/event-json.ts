/**
 * JSON of strangers that two readers could read differently: repeated keys, and keys that differ by
 * case alone (Go's `encoding/json` takes them for the same). What is governed is read here, and
 * refused if it is not plain.
 */
import { isUtf8 } from 'node:buffer';
import type { JsonValue } from '../../../wire/hujson.ts';

export type JsonRecord = Readonly<Record<string, unknown>>;

/** Members whose content is the model's or the tool's own: there, keys may differ by case. */
const FREE_MEMBERS: ReadonlySet<string> = new Set(['input', 'args', 'arguments', 'response', 'output']);
/** Levels that are looked through; provider events have fewer than 30. */
const DEPTH_MAX = 200;

/** An event's data as an object; null if it is none, or could be read in more than one way. */
export function parseEventJson(data: Buffer): JsonRecord | null {
  if (!isUtf8(data)) return null;
  const text = data.toString('utf8');
  const value = parseJson(text);
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return null;
  return isAmbiguous(text, true) ? null : value;
}

/**
 * Arguments of a call; undefined if they are no JSON or repeat a key, so that no rule can allow by
 * what another reader would see differently. Nothing at all stands for `{}`.
 */
export function parseArguments(text: string): JsonValue | undefined {
  if (text.trim() === '') return {};
  const value = parseJson(text);
  return value === undefined || isAmbiguous(text, false) ? undefined : value;
}

function parseJson(text: string): JsonValue | undefined {
  try {
    const value: JsonValue = JSON.parse(text);
    return value;
  } catch {
    return undefined;
  }
}

interface Level {
  /** Null for an array. */
  readonly keys: Set<string> | null;
  readonly folds: boolean;
}

/** Whether a key occurs twice in one object. The text must be JSON. */
function isAmbiguous(text: string, folds: boolean): boolean {
  const levels: Level[] = [];
  // The last key at hand, whose value comes next.
  let key = '';
  let at = 0;
  while (at < text.length) {
    const char = text.charCodeAt(at);
    if (char === 0x7b || char === 0x5b) {
      if (levels.length >= DEPTH_MAX) return true;
      const outer = levels.at(-1)?.folds ?? folds;
      levels.push({ keys: char === 0x7b ? new Set() : null, folds: outer && !FREE_MEMBERS.has(key) });
      key = '';
      at += 1;
    } else if (char === 0x7d || char === 0x5d) {
      levels.pop();
      at += 1;
    } else if (char === 0x22) {
      const end = stringEnd(text, at);
      const level = levels.at(-1);
      if (level !== undefined && level.keys !== null && isKey(text, end)) {
        key = decodeString(text.slice(at, end));
        const name = level.folds ? key.toLowerCase() : key;
        if (level.keys.has(name)) return true;
        level.keys.add(name);
      }
      at = end;
    } else {
      at += 1;
    }
  }
  return false;
}

/** The offset after the closing quote of the string that starts at `start`. */
export function stringEnd(text: string, start: number): number {
  for (let at = text.indexOf('"', start + 1); at >= 0; at = text.indexOf('"', at + 1)) {
    let slashes = 0;
    while (text.charCodeAt(at - 1 - slashes) === 0x5c) slashes += 1;
    if (slashes % 2 === 0) return at + 1;
  }
  return text.length;
}

/** Whether the string that ends before `at` is a key: a colon follows. */
export function isKey(text: string, at: number): boolean {
  let next = at;
  while (' \n\r\t'.includes(text.charAt(next)) && next < text.length) next += 1;
  return text.charCodeAt(next) === 0x3a;
}

function decodeString(quoted: string): string {
  return quoted.includes('\\') ? String(JSON.parse(quoted)) : quoted.slice(1, -1);
}

export function asRecord(value: unknown): JsonRecord | null {
  return isRecord(value) ? value : null;
}

function isRecord(value: unknown): value is JsonRecord {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

export function asArray(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A member of what may be an object. */
export function get(value: unknown, key: string): unknown {
  const record = asRecord(value);
  return record !== null && Object.hasOwn(record, key) ? record[key] : undefined;
}

export function asText(value: unknown): string | null {
  return typeof value === 'string' ? value : null;
}

/** A block's place in an answer: a whole number from 0; null for anything else. */
export function asIndex(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/**
 * Whether a value of unknown shape names, at any depth, a tool of which `governs` says so. For
 * events and blocks of a kind that this code does not know: with such a name they cannot pass.
 */
export function namesGoverned(value: unknown, governs: (name: string) => boolean): boolean {
  const left: unknown[] = [value];
  for (let next = left.pop(); next !== undefined; next = left.pop()) {
    if (Array.isArray(next)) left.push(...next.filter((element) => typeof element === 'object'));
    const record = asRecord(next);
    if (record === null) continue;
    for (const [key, member] of Object.entries(record)) {
      if (typeof member === 'string' && key.toLowerCase() === 'name' && governs(member)) return true;
      if (typeof member === 'object' && member !== null) left.push(member);
    }
  }
  return false;
}
