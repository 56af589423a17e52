/**
 * Rows as a table of numbers and of references to texts, for the way between threads: two typed
 * arrays and a list of texts cost a third of cloning as many objects, and the far end binds what it
 * reads without building a row.
 *
 * Numbers are float64, NaN is null; fractions are rounded, booleans are 0 and 1. Texts are numbered
 * from 1 in the order of their first use, each once a batch; 0 is null. What is of another type than
 * its column becomes null, which NOT NULL columns refuse.
 */
import type { SQLInputValue } from 'node:sqlite';
import type { ColumnKind, RowCodec } from './columns.ts';

/** The texts of one batch. */
export class TextTable {
  /** Number 0 is null. */
  readonly texts: (string | null)[] = [null];
  readonly #numbers = new Map<string, number>();

  /** The number of a text that may be there already. */
  numberOf(text: string): number {
    const known = this.#numbers.get(text);
    if (known !== undefined) return known;
    const number = this.add(text);
    this.#numbers.set(text, number);
    return number;
  }

  /** The number of a text that is not looked for. */
  add(text: string): number {
    return this.texts.push(text) - 1;
  }
}

/** Which columns are numbers and which are texts; both ends derive it from the same codec. */
export interface RowLayout<Shape> {
  readonly numberFields: readonly (keyof Shape & string)[];
  readonly textFields: readonly (keyof Shape & string)[];
  readonly textKinds: readonly ('text' | 'json' | 'unique')[];
  /** For each column of the codec, in order: its place among the numbers (n) or the texts (-1 - n). */
  readonly places: readonly number[];
}

/** The layout of a table without BLOBs. Texts of the `unique` fields are not looked for among those before. */
export function rowLayout<Shape>(
  { fields }: Pick<RowCodec<Shape>, 'fields'>,
  unique: readonly (keyof Shape & string)[] = [],
): RowLayout<Shape> {
  const isText = (kind: ColumnKind): boolean => kind === 'text' || kind === 'json';
  const texts = fields.filter(([, kind]) => isText(kind));
  const numbers = fields.filter(([, kind]) => !isText(kind));
  return {
    numberFields: numbers.map(([field]) => field),
    textFields: texts.map(([field]) => field),
    textKinds: texts.map(([field, kind]) =>
      kind === 'json' ? 'json' : unique.includes(field) ? 'unique' : 'text',
    ),
    places: fields.map((field) => (isText(field[1]) ? -1 - texts.indexOf(field) : numbers.indexOf(field))),
  };
}

/** Writes `rows` to the starts of `numbers` and `references`. Throws what `JSON.stringify` throws on what is no JSON. */
export function encodeRows<Shape>(
  layout: RowLayout<Shape>,
  rows: readonly Shape[],
  into: { readonly numbers: Float64Array; readonly references: Uint32Array; readonly texts: TextTable },
): void {
  const { numberFields, textFields, textKinds } = layout;
  const { numbers, references, texts } = into;
  // Most columns hold the very value of the row before.
  const former: unknown[] = textFields.map(() => null);
  const formerNumbers = textFields.map(() => 0);
  let numberAt = 0;
  let textAt = 0;
  for (const row of rows) {
    for (const field of numberFields) {
      numbers[numberAt] = toNumber(row[field]);
      numberAt += 1;
    }
    let column = 0;
    for (const field of textFields) {
      const value = row[field];
      if (value !== former[column]) {
        former[column] = value;
        formerNumbers[column] = textNumber(texts, value, textKinds[column]);
      }
      references[textAt] = formerNumbers[column] ?? 0;
      textAt += 1;
      column += 1;
    }
  }
}

/** Puts the values of row `index` into `values`, one for each column of the codec. */
export function decodeRow<Shape>(
  layout: RowLayout<Shape>,
  index: number,
  from: {
    readonly numbers: Float64Array;
    readonly references: Uint32Array;
    readonly texts: readonly (string | null)[];
  },
  values: SQLInputValue[],
): void {
  const { places } = layout;
  const numbersAt = index * layout.numberFields.length;
  const textsAt = index * layout.textFields.length;
  for (let i = 0; i < places.length; i += 1) {
    const place = places[i] ?? 0;
    if (place < 0) {
      values[i] = from.texts[from.references[textsAt - 1 - place] ?? 0] ?? null;
    } else {
      const value = from.numbers[numbersAt + place] ?? Number.NaN;
      values[i] = Number.isNaN(value) ? null : value;
    }
  }
}

function toNumber(value: unknown): number {
  if (typeof value === 'number') {
    // Durations arrive with fractions.
    const rounded = Math.round(value);
    return Number.isSafeInteger(rounded) ? rounded : Number.NaN;
  }
  return typeof value === 'boolean' ? Number(value) : Number.NaN;
}

function textNumber(
  texts: TextTable,
  value: unknown,
  kind: RowLayout<object>['textKinds'][number] | undefined,
): number {
  if (kind === 'json') {
    if (value === null || value === undefined) return 0;
    // A function has no JSON text, whatever the declared type says.
    const text: string | undefined = isEmptyList(value) ? '[]' : JSON.stringify(value);
    return text === undefined ? 0 : texts.numberOf(text);
  }
  if (typeof value !== 'string') return 0;
  return kind === 'unique' ? texts.add(value) : texts.numberOf(value);
}

function isEmptyList(value: unknown): boolean {
  return Array.isArray(value) && value.length === 0;
}
