/**
 * Placeholders of redacted values: `<EMAIL_7f3a9c21b0aa>`, a keyed hash of caller, kind and value. So a value
 * has the same placeholder in every turn, at every start of the process, and for nobody else: prompt caches
 * survive, and two callers' placeholders cannot be compared.
 *
 * The way back mostly needs no store: a client sends the whole conversation each time, values in it are found
 * again, and each gets the placeholder that it had. Memory is for conversations that the provider keeps
 * (`previous_response_id`): bounded, by caller and for all, and given to `onKept` for a later process. A
 * placeholder whose value is not known stays as it is.
 */
import { keyedHash } from '../crypto/index.ts';

/** Hexadecimal digits: 48 bits, so that a thousand values of one caller meet with odds below one in 10^8. */
const ID_DIGITS = 12;
/** Where two values do meet, the second gets this many. */
const LONG_ID_DIGITS = 24;

/** Values and placeholders of one caller; bounded by count and size, the least recently used go first. */
export interface PlaceholderLimits {
  readonly scopesMax: number;
  readonly entriesMax: number;
  /** UTF-16 units of the values of one scope. */
  readonly unitsMax: number;
  /** Of all scopes together, with what their placeholders take. */
  readonly allUnitsMax: number;
}

export const PLACEHOLDER_LIMITS: PlaceholderLimits = {
  scopesMax: 1_000,
  entriesMax: 5_000,
  unitsMax: 1_000_000,
  allUnitsMax: 16_000_000,
};

/** Of one value besides its own units: its placeholder, its name, and what two Maps take. */
const VALUE_UNITS = 200;

/** The placeholders of one caller (or session). Prints nothing of what it holds. */
export class PlaceholderScope {
  readonly #key: Uint8Array;
  readonly #scope: Uint8Array;
  readonly #limits: PlaceholderLimits;
  /** By placeholder in small letters, without its brackets; oldest first. */
  readonly #values = new Map<string, string>();
  /** By kind and value. */
  readonly #placeholders = new Map<string, string>();
  readonly #kinds = new Map<string, number>();
  /** Names of what a later process will know. */
  readonly #kept = new Set<string>();
  #units = 0;

  constructor(key: Uint8Array, scope: string, limits: PlaceholderLimits) {
    this.#key = key;
    this.#scope = Buffer.from(scope, 'utf8');
    this.#limits = limits;
  }

  /** The placeholder of a value, which is known from then on. */
  take(kind: string, value: string): string {
    const label = kind.toUpperCase();
    const name = `${label} ${value}`;
    const known = this.#placeholders.get(name);
    if (known !== undefined) {
      this.#touch(name, known);
      return known;
    }
    const made = this.#make(label, value);
    this.#values.set(idOf(made), value);
    this.#placeholders.set(name, made);
    this.#kinds.set(label, (this.#kinds.get(label) ?? 0) + 1);
    this.#units += value.length;
    this.#shrink(name);
    return made;
  }

  /** UTF-16 units that it takes. */
  get units(): number {
    return this.#units + this.#values.size * VALUE_UNITS;
  }

  /** Notes that a value that was taken is kept for a later process; false if it was before. */
  keep(kind: string, value: string): boolean {
    const name = `${kind.toUpperCase()} ${value}`;
    if (this.#kept.has(name) || !this.#placeholders.has(name)) return false;
    this.#kept.add(name);
    return true;
  }

  /** The placeholder of a value, which stays unknown: for values that the caller has not sent. */
  make(kind: string, value: string): string {
    return this.#make(kind.toUpperCase(), value);
  }

  /** Whether this caller has sent the value, and it was redacted. */
  has(kind: string, value: string): boolean {
    return this.#placeholders.has(`${kind.toUpperCase()} ${value}`);
  }

  /** The value behind `EMAIL_7f3a9c21b0aa`, in letters of either case; null if it is not this caller's. */
  resolve(id: string): string | null {
    return this.#values.get(id.toLowerCase()) ?? null;
  }

  /** Labels of the placeholders that could be resolved. */
  labels(): readonly string[] {
    return [...this.#kinds.keys()];
  }

  get isEmpty(): boolean {
    return this.#values.size === 0;
  }

  #make(label: string, value: string): string {
    const digest = keyedHash(this.#key, this.#scope, Buffer.from(label, 'utf8'), Buffer.from(value, 'utf8'));
    const digits = Buffer.from(digest).toString('hex');
    const id = `${label}_${digits.slice(0, ID_DIGITS)}`;
    const other = this.#values.get(id.toLowerCase());
    return other === undefined || other === value
      ? `<${id}>`
      : `<${label}_${digits.slice(0, LONG_ID_DIGITS)}>`;
  }

  #touch(name: string, placeholder: string): void {
    this.#placeholders.delete(name);
    this.#placeholders.set(name, placeholder);
  }

  #shrink(newest: string): void {
    for (const [name, placeholder] of this.#placeholders) {
      if (this.#placeholders.size <= this.#limits.entriesMax && this.#units <= this.#limits.unitsMax) return;
      // The request at hand needs its own values, whatever the limit.
      if (name === newest) return;
      const id = idOf(placeholder);
      this.#units -= this.#values.get(id)?.length ?? 0;
      this.#values.delete(id);
      this.#placeholders.delete(name);
      this.#kept.delete(name);
      const label = name.slice(0, name.indexOf(' '));
      const left = (this.#kinds.get(label) ?? 1) - 1;
      if (left === 0) this.#kinds.delete(label);
      else this.#kinds.set(label, left);
    }
  }
}

function idOf(placeholder: string): string {
  return placeholder.slice(1, -1).toLowerCase();
}

/** The scopes of all callers; the least recently used go first. */
export class Placeholders {
  readonly #key: Uint8Array;
  readonly #limits: PlaceholderLimits;
  readonly #scopes = new Map<string, PlaceholderScope>();

  /** `key` has 32 bytes and is used for nothing else. */
  constructor(key: Uint8Array, limits: PlaceholderLimits) {
    this.#key = Uint8Array.from(key);
    this.#limits = limits;
  }

  /** The scope of a caller; made if it is not there. */
  open(scope: string): PlaceholderScope {
    const known = this.#scopes.get(scope) ?? new PlaceholderScope(this.#key, scope, this.#limits);
    this.#scopes.delete(scope);
    this.#scopes.set(scope, known);
    for (const oldest of this.#scopes.keys()) {
      if (this.#scopes.size <= this.#limits.scopesMax) break;
      this.#scopes.delete(oldest);
    }
    return known;
  }

  /** Drops whole scopes, the least recently used first, until all fit; never the last. After each request. */
  shrink(): void {
    let units = 0;
    for (const scope of this.#scopes.values()) units += scope.units;
    for (const [name, scope] of this.#scopes) {
      if (units <= this.#limits.allUnitsMax || this.#scopes.size === 1) return;
      units -= scope.units;
      this.#scopes.delete(name);
    }
  }

  /** The scope of a caller that has one. */
  find(scope: string): PlaceholderScope | null {
    return this.#scopes.get(scope) ?? null;
  }
}
