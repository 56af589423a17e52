/**
 * Fields of shapes to columns of tables and back. A column list is the one place where a field's
 * column and its kind are told; statements are built from it.
 */
import type { SQLInputValue, SQLOutputValue } from 'node:sqlite';
import { storeError } from '../errors.ts';

/** `json` is a JSON text, `bool` is 0 or 1, `bytes` a BLOB. */
export type ColumnKind = 'text' | 'int' | 'bool' | 'json' | 'bytes';

/** Field name to column name and kind, for every field of `Shape`. */
export type Columns<Shape> = {
  readonly [Field in keyof Shape]-?: readonly [column: string, kind: ColumnKind];
};

export type SqlRow = Record<string, SQLOutputValue>;

/** How the rows of one table are written and read. */
export interface RowCodec<Shape> {
  /** Fields with the kinds of their columns, in the order of the values. */
  readonly fields: readonly (readonly [field: keyof Shape & string, kind: ColumnKind])[];
  /** `a, b, c` in the order of the values. */
  readonly columnList: string;
  /** `?, ?, ?`. */
  readonly placeholders: string;
  readonly toValues: (shape: Shape) => SQLInputValue[];
  /** Throws `store_corrupt` where a column does not hold what the schema says. */
  readonly fromRow: (row: SqlRow) => Shape;
}

export function createCodec<Shape extends object>(columns: Columns<Shape>): RowCodec<Shape> {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- `Columns` has exactly the fields of `Shape`.
  const fields = Object.entries(columns) as [keyof Shape & string, readonly [string, ColumnKind]][];
  return {
    fields: fields.map(([field, [, kind]]) => [field, kind] as const),
    columnList: fields.map(([, [column]]) => column).join(', '),
    placeholders: fields.map(() => '?').join(', '),
    toValues: (shape) => fields.map(([field, [, kind]]) => toValue(shape[field], kind)),
    fromRow(row) {
      const shape: Record<string, unknown> = {};
      for (const [field, [column, kind]] of fields) shape[field] = fromValue(row[column], kind, column);
      // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- every field was just set, from columns whose types the STRICT schema enforces.
      return shape as Shape;
    },
  };
}

function toValue(value: unknown, kind: ColumnKind): SQLInputValue {
  if (value === null || value === undefined) return null;
  if (kind === 'json') return JSON.stringify(value);
  if (kind === 'bool') return value === true ? 1 : 0;
  // What is of another type becomes NULL, which NOT NULL columns refuse.
  if (kind === 'text') return typeof value === 'string' ? value : null;
  if (kind === 'bytes') return value instanceof Uint8Array ? value : null;
  // Durations arrive with fractions.
  return typeof value === 'number' && Number.isSafeInteger(Math.round(value)) ? Math.round(value) : null;
}

function fromValue(value: SQLOutputValue | undefined, kind: ColumnKind, column: string): unknown {
  if (value === null || value === undefined) return null;
  if (kind === 'bool') return value === 1;
  if (kind !== 'json') return value;
  try {
    return JSON.parse(String(value)) as unknown;
  } catch (cause) {
    throw storeError('store_corrupt', `column ${column} does not hold JSON`, undefined, cause);
  }
}

/** A column that the schema makes an integer. */
export function intOf(row: SqlRow, column: string): number {
  const value = row[column];
  if (typeof value !== 'number') throw storeError('store_corrupt', `column ${column} does not hold a number`);
  return value;
}

/** A column that the schema makes a text. */
export function textOf(row: SqlRow, column: string): string {
  const value = row[column];
  if (typeof value !== 'string') throw storeError('store_corrupt', `column ${column} does not hold a text`);
  return value;
}

/** As `textOf`, for columns that may be NULL. */
export function textOrNullOf(row: SqlRow, column: string): string | null {
  return row[column] === null ? null : textOf(row, column);
}

/** A column that the schema makes a BLOB. */
export function bytesOf(row: SqlRow, column: string): Uint8Array {
  const value = row[column];
  if (!(value instanceof Uint8Array))
    throw storeError('store_corrupt', `column ${column} does not hold bytes`);
  return value;
}
