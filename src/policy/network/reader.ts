/**
 * Reading a policy file's values while collecting what is wrong with them. A policy is used whole or
 * not at all, so here every fault is an error: a rule that is left out could be the one that a
 * test, a tag or an approval stands on.
 */
import { nearestName } from '../../base/nearest-name.ts';
import type { HujsonDocument, JsonObject, JsonPath, JsonValue } from '../../wire/hujson.ts';
import { formatPath, type Problem, type ProblemCode, type Severity } from '../problem.ts';
import type { Place } from './policy.ts';

/** More would help nobody. */
const MAX_PROBLEMS = 200;
/** Longer texts are cut in messages. */
const QUOTE_MAX_CHARS = 60;

/** What is wrong, with its place in the text, if there is one; shared by all readers of it. */
export class PolicyProblems {
  readonly list: Problem[] = [];
  readonly #document: HujsonDocument | null;
  #hasErrors = false;

  constructor(document: HujsonDocument | null) {
    this.#document = document;
  }

  get hasErrors(): boolean {
    return this.#hasErrors;
  }

  add(severity: Severity, path: JsonPath, what: { code: ProblemCode; message: string; fix: string }): void {
    if (severity === 'error') this.#hasErrors = true;
    if (this.list.length >= MAX_PROBLEMS) return;
    this.list.push({ severity, path: formatPath(path), ...this.placeOf(path), ...what });
  }

  /** What is missing stands at the nearest thing that is there. */
  placeOf(path: JsonPath): { line: number; column: number } {
    for (let length = path.length; this.#document !== null && length >= 0; length -= 1) {
      const found = this.#document.positionOf(path.slice(0, length));
      if (found !== null) return { line: found.line, column: found.column };
    }
    return { line: 1, column: 1 };
  }
}

/** A value at its place. */
export class PolicyReader {
  readonly value: JsonValue | undefined;
  readonly path: JsonPath;
  readonly problems: PolicyProblems;

  constructor(value: JsonValue | undefined, path: JsonPath, problems: PolicyProblems) {
    this.value = value;
    this.path = path;
    this.problems = problems;
  }

  /** Absent and `null` are the same, as they are to Tailscale. */
  get isAbsent(): boolean {
    return this.value === undefined || this.value === null;
  }

  get place(): Place {
    return { path: formatPath(this.path), line: this.problems.placeOf(this.path).line };
  }

  error(code: ProblemCode, message: string, fix: string): void {
    this.problems.add('error', this.path, { code, message, fix });
  }

  warn(code: ProblemCode, message: string, fix: string): void {
    this.problems.add('warning', this.path, { code, message, fix });
  }

  /**
   * The members of an object, with a fault for those that are not known. Case does not matter (older
   * files have `ACLs`), and keys that begin with `#` are comments. Null if it is absent or no object.
   */
  members<Key extends string>(known: readonly Key[]): Readonly<Record<Key, PolicyReader>> | null {
    const object = this.#object();
    if (object === null) return null;
    const found: Partial<Record<Key, PolicyReader>> = {};
    for (const key of Object.keys(object)) {
      if (key.startsWith('#')) continue;
      const name = known.find((one) => one.toLowerCase() === key.toLowerCase());
      const member = this.#at(key);
      if (name === undefined) this.#unknown(key, member, known);
      else if (found[name] === undefined) found[name] = member;
      else member.error('duplicate_key', `${quote(key)} is written twice`, 'keep one of them');
    }
    for (const key of known) found[key] ??= this.#at(key);
    return hasEvery(found, known) ? found : null;
  }

  #unknown(key: string, member: PolicyReader, known: readonly string[]): void {
    const near = nearestName(key, known);
    member.error(
      'unknown_key',
      `${quote(key)} is not a key of ${this.#name}`,
      near === null ? `remove it; the keys are ${known.join(', ')}` : `did you mean ${quote(near)}?`,
    );
  }

  /** Every member of an object whose keys are names; none if it is absent. */
  entries(): readonly (readonly [string, PolicyReader])[] {
    const object = this.#object();
    if (object === null) return [];
    return Object.keys(object).map((key) => [key, this.#at(key)]);
  }

  /** The elements of a list; none if it is absent. */
  items(): readonly PolicyReader[] {
    if (this.isAbsent) return [];
    if (!Array.isArray(this.value)) {
      this.#wrongType('a list');
      return [];
    }
    return this.value.map((item, index) => new PolicyReader(item, [...this.path, index], this.problems));
  }

  /** Null (with a fault) for anything else; spaces around it are dropped, as Tailscale does. */
  text(): string | null {
    if (typeof this.value === 'string') return this.value.trim();
    this.#wrongType('a text');
    return null;
  }

  /** Absent gives null without a fault. */
  optionalText(): string | null {
    return this.isAbsent ? null : this.text();
  }

  /** Absent gives null without a fault. */
  optionalBoolean(): boolean | null {
    if (this.isAbsent) return null;
    if (typeof this.value === 'boolean') return this.value;
    this.#wrongType('true or false');
    return null;
  }

  get #name(): string {
    return this.path.length === 0 ? 'a network policy' : formatPath(this.path);
  }

  #at(key: string): PolicyReader {
    const object = isObject(this.value) && Object.hasOwn(this.value, key) ? this.value[key] : undefined;
    return new PolicyReader(object, [...this.path, key], this.problems);
  }

  #object(): JsonObject | null {
    if (this.isAbsent) return null;
    if (isObject(this.value)) return this.value;
    this.#wrongType('an object');
    return null;
  }

  #wrongType(wanted: string): void {
    this.error(
      'bad_type',
      `${this.#name} must be ${wanted}, got ${typeName(this.value)}`,
      `write ${wanted} here`,
    );
  }
}

function hasEvery<Key extends string>(
  found: Partial<Record<Key, PolicyReader>>,
  known: readonly Key[],
): found is Record<Key, PolicyReader> {
  return known.every((key) => found[key] !== undefined);
}

function isObject(value: JsonValue | undefined): value is JsonObject {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function typeName(value: JsonValue | undefined): string {
  if (value === undefined) return 'nothing';
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  return typeof value === 'object' ? 'an object' : `a ${typeof value}`;
}

/** A text for a message, quoted and cut. */
export function quote(text: string): string {
  return JSON.stringify(text.length > QUOTE_MAX_CHARS ? `${text.slice(0, QUOTE_MAX_CHARS - 1)}…` : text);
}
