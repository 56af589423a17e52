/**
 * Reading a value tree while collecting problems. A cursor is a value with its path; what it reports
 * carries the place in the text. `isolate` begins an element (a grant, a quota …): a fault in it
 * marks that element as broken, and the reader leaves the element out.
 */
import type { HujsonDocument, JsonPath, JsonValue } from '../wire/hujson.ts';
import { nearestName } from '../base/nearest-name.ts';
import { formatPath, type Problem, type ProblemCode, type Severity } from './problem.ts';

/** More would help nobody. */
const MAX_PROBLEMS = 200;

/** Collects problems and knows where paths stand in the text, if there is one. */
export class ProblemSink {
  readonly problems: Problem[] = [];
  readonly disabled: string[] = [];
  readonly #parsed: HujsonDocument | null;

  constructor(parsed: HujsonDocument | null) {
    this.#parsed = parsed;
  }

  add(severity: Severity, path: JsonPath, code: ProblemCode, message: string, fix: string): void {
    if (this.problems.length >= MAX_PROBLEMS && severity !== 'error') return;
    const at = this.#nearestPosition(path);
    this.problems.push({
      severity,
      path: formatPath(path),
      line: at.line,
      column: at.column,
      code,
      message,
      fix,
    });
  }

  /** A missing element is shown at the nearest one that exists. */
  #nearestPosition(path: JsonPath): { line: number; column: number } {
    for (let length = path.length; this.#parsed !== null && length >= 0; length -= 1) {
      const found = this.#parsed.positionOf(path.slice(0, length));
      if (found !== null) return found;
    }
    return { line: 0, column: 0 };
  }
}

/** Whether an element can be used. */
interface Scope {
  broken: boolean;
}

export class Cursor {
  readonly value: JsonValue | undefined;
  readonly path: JsonPath;
  readonly #sink: ProblemSink;
  readonly #scope: Scope;

  constructor(
    value: JsonValue | undefined,
    path: JsonPath,
    sink: ProblemSink,
    scope: Scope = { broken: false },
  ) {
    this.value = value;
    this.path = path;
    this.#sink = sink;
    this.#scope = scope;
  }

  /** The same place as an element of its own: its faults stay within it. */
  isolate(): Cursor {
    return new Cursor(this.value, this.path, this.#sink, { broken: false });
  }

  get broken(): boolean {
    return this.#scope.broken;
  }

  get exists(): boolean {
    return this.value !== undefined;
  }

  get isObject(): boolean {
    return typeof this.value === 'object' && this.value !== null && !Array.isArray(this.value);
  }

  get name(): string {
    return formatPath(this.path);
  }

  at(key: string | number): Cursor {
    return new Cursor(childOf(this.value, key), [...this.path, key], this.#sink, this.#scope);
  }

  /** The document cannot be used. */
  error(code: ProblemCode, message: string, fix: string): void {
    this.#scope.broken = true;
    this.#sink.add('error', this.path, code, message, fix);
  }

  /** The element that this stands in is switched off. */
  fail(code: ProblemCode, message: string, fix: string): void {
    this.#scope.broken = true;
    this.#sink.add('warning', this.path, code, message, fix);
  }

  /** Something is wrong; the element still holds. */
  warn(code: ProblemCode, message: string, fix: string): void {
    this.#sink.add('warning', this.path, code, message, fix);
  }

  note(code: ProblemCode, message: string, fix: string): void {
    this.#sink.add('note', this.path, code, message, fix);
  }

  /** Records that the element is left out. */
  disable(): void {
    this.#sink.disabled.push(this.name);
  }

  /** Members of an object; null (and a fault) if it is something else. Absent gives null without a fault. */
  members(): readonly string[] | null {
    if (this.value === undefined) return null;
    if (!this.isObject) {
      this.#wrongType('an object');
      return null;
    }
    return Object.keys(this.value ?? {});
  }

  /** Elements of an array; absent or wrong gives none. */
  items(): readonly Cursor[] {
    if (this.value === undefined) return [];
    if (!Array.isArray(this.value)) {
      this.#wrongType('a list');
      return [];
    }
    return this.value.map((_, index) => this.at(index));
  }

  string(): string | null {
    if (this.value === undefined) return null;
    if (typeof this.value === 'string') return this.value;
    this.#wrongType('a string');
    return null;
  }

  boolean(): boolean | null {
    if (this.value === undefined) return null;
    if (typeof this.value === 'boolean') return this.value;
    this.#wrongType('true or false');
    return null;
  }

  number(): number | null {
    if (this.value === undefined) return null;
    if (typeof this.value === 'number' && Number.isFinite(this.value)) return this.value;
    this.#wrongType('a number');
    return null;
  }

  /** A list of strings; one wrong element is a fault and is left out. */
  strings(): readonly string[] {
    const found: string[] = [];
    for (const item of this.items()) {
      const text = item.string();
      if (text !== null) found.push(text);
    }
    return found;
  }

  /** A string out of a closed set; anything else is a fault. */
  oneOf<Value extends string>(allowed: readonly Value[]): Value | null {
    const text = this.string();
    if (text === null) return null;
    const found = allowed.find((value) => value === text);
    if (found === undefined) {
      this.fail(
        'bad_value',
        `${this.name} is ${quoteShort(text)}; it must be one of ${allowed.map(quoteShort).join(', ')}`,
        'use one of these values',
      );
      return null;
    }
    return found;
  }

  /** Faults every member that is not known, naming the nearest known one. */
  onlyKnown(known: readonly string[], what: string): void {
    for (const key of this.members() ?? []) {
      if (known.includes(key)) continue;
      const near = nearestName(key, known);
      this.at(key).fail(
        'unknown_key',
        `${quoteShort(key)} is not a key of a ${what}, so this ${what} is switched off`,
        near === null
          ? `remove the key; known keys are ${known.join(', ')}`
          : `did you mean ${quoteShort(near)}?`,
      );
    }
  }

  #wrongType(wanted: string): void {
    this.fail(
      'bad_type',
      `${this.name || 'the document'} must be ${wanted}, got ${typeName(this.value)}`,
      `write ${wanted} here`,
    );
  }
}

function childOf(value: JsonValue | undefined, key: string | number): JsonValue | undefined {
  if (typeof value !== 'object' || value === null) return undefined;
  if (Array.isArray(value)) return typeof key === 'number' ? value[key] : undefined;
  return typeof key === 'string' && Object.hasOwn(value, key) ? value[key] : undefined;
}

function typeName(value: JsonValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** A value for a message, quoted and cut to a length at which no key is given away whole. */
export function quoteShort(text: string): string {
  return JSON.stringify(text.length > 60 ? `${text.slice(0, 57)}…` : text);
}
