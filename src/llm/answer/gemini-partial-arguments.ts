/**
 * Arguments of a Gemini call that come in pieces (`partialArgs`, Vertex AI with
 * `streamFunctionCallArguments`): each piece sets or lengthens the value at a JSON path.
 */
import type { JsonObject, JsonValue } from '../../wire/hujson.ts';
import { asArray, asText, get } from './streams/event-json.ts';

/** Steps of a path; real arguments are flat. */
const PATH_MAX = 32;
const STEP = /\.([A-Za-z_][\w-]*)|\[(\d{1,6})\]|\['((?:[^'\\]|\\.)*)'\]|\["((?:[^"\\]|\\.)*)"\]/y;

export class PartialArguments {
  readonly #root: JsonObject = {};
  /** The path whose string goes on in the next piece. */
  #continued: string | null = null;
  #readable = true;

  /** Pieces of one part, as the provider wrote them. */
  add(pieces: unknown): void {
    if (pieces === undefined) return;
    if (!Array.isArray(pieces)) this.#readable = false;
    for (const piece of asArray(pieces)) this.#readable &&= this.#addPiece(piece);
  }

  /** Whole arguments beside the pieces cannot be told apart from them. */
  spoil(): void {
    this.#readable = false;
  }

  text(): string {
    return JSON.stringify(this.#root);
  }

  /** Undefined if a piece could not be placed for certain. */
  value(): JsonValue | undefined {
    return this.#readable && this.#continued === null ? this.#root : undefined;
  }

  #addPiece(piece: unknown): boolean {
    const path = asText(get(piece, 'jsonPath'));
    const steps = path === null ? null : parsePath(path);
    const value = valueOf(piece);
    if (path === null || steps === null || value === undefined) return false;
    const isRest = this.#continued === path;
    if (this.#continued !== null && !isRest) return false;
    const continues = get(piece, 'willContinue') === true;
    if (continues && typeof value !== 'string') return false;
    this.#continued = continues ? path : null;
    return place(this.#root, steps, value, isRest);
  }
}

function valueOf(piece: unknown): JsonValue | undefined {
  const text = get(piece, 'stringValue');
  if (typeof text === 'string') return text;
  const number = get(piece, 'numberValue');
  if (typeof number === 'number') return number;
  const truth = get(piece, 'boolValue');
  if (typeof truth === 'boolean') return truth;
  if (get(piece, 'nullValue') !== undefined) return null;
  // The last piece of a string may be empty.
  return get(piece, 'willContinue') === undefined ? undefined : '';
}

function parsePath(path: string): (string | number)[] | null {
  if (!path.startsWith('$')) return null;
  const steps: (string | number)[] = [];
  STEP.lastIndex = 1;
  while (STEP.lastIndex < path.length) {
    const match = STEP.exec(path);
    if (match === null || steps.length >= PATH_MAX) return null;
    const [, name, index, single, double] = match;
    const quoted = single ?? double;
    if (quoted !== undefined && quoted.includes('\\')) return null;
    steps.push(index === undefined ? (name ?? quoted ?? '') : Number(index));
  }
  return steps.length === 0 || typeof steps[0] === 'number' ? null : steps;
}

/** Sets the value at a path, once; `isRest`: lengthens the string there. Whether it could. */
function place(
  root: JsonObject,
  steps: readonly (string | number)[],
  value: JsonValue,
  isRest: boolean,
): boolean {
  let at: JsonValue = root;
  for (const [i, step] of steps.entries()) {
    const current = childOf(at, step);
    if (i === steps.length - 1) {
      if (isRest)
        return (
          typeof current === 'string' && typeof value === 'string' && setChild(at, step, current + value)
        );
      return current === undefined && setChild(at, step, value);
    }
    if (current === undefined) {
      const made: JsonValue = typeof steps[i + 1] === 'number' ? [] : {};
      if (!setChild(at, step, made)) return false;
      at = made;
    } else {
      at = current;
    }
  }
  return false;
}

function childOf(value: JsonValue, step: string | number): JsonValue | undefined {
  if (Array.isArray(value)) return typeof step === 'number' ? value[step] : undefined;
  if (typeof value !== 'object' || value === null || typeof step === 'number') return undefined;
  return Object.hasOwn(value, step) ? value[step] : undefined;
}

/** Arrays grow at their end only. */
function setChild(value: JsonValue, step: string | number, child: JsonValue): boolean {
  if (Array.isArray(value)) {
    if (typeof step !== 'number' || step > value.length) return false;
    value[step] = child;
    return true;
  }
  if (typeof value !== 'object' || value === null || typeof step === 'number') return false;
  Object.defineProperty(value, step, { value: child, writable: true, enumerable: true, configurable: true });
  return true;
}
