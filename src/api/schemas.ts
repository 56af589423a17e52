/** Shapes that several routes share. JSON is snake_case, times RFC 3339 UTC, money integer nano-dollars. */
import { z } from '@hono/zod-openapi';
import { ApiError } from './errors.ts';

/** RFC 9457. */
export const ProblemSchema = z
  .object({
    type: z.string(),
    title: z.string(),
    status: z.int(),
    detail: z.string().describe('What was wrong and what would mend it.'),
    code: z.string().describe('One of the closed list of docs/reference/errors.md.'),
    request_id: z.string(),
    presence_url: z.string().optional().describe('With `presence_required`: where to show presence.'),
    errors: z.array(z.object({ in: z.string(), field: z.string(), message: z.string() })).optional(),
  })
  .openapi('Problem');

export const TimeSchema = z.string().describe('RFC 3339, UTC.');
export const NullableTime = TimeSchema.nullable();
export const NanoUsd = z.int().describe('Integer nano-dollars: 1,000,000,000 is one dollar.');

/** A list with its cursor. */
export function listOf<Item extends z.ZodType>(
  item: Item,
): z.ZodObject<{ items: z.ZodArray<Item>; next_cursor: z.ZodNullable<z.ZodString> }> {
  return z.object({
    items: z.array(item),
    next_cursor: z.string().nullable().describe('Pass as `cursor` for the next page; null at the end.'),
  });
}

/** `{ 200: … }` with a JSON body. */
export function json<Schema extends z.ZodType>(
  schema: Schema,
  description: string,
): { description: string; content: { 'application/json': { schema: Schema } } } {
  return { description, content: { 'application/json': { schema } } };
}

/** A JSON body that must be there. */
export function jsonBody<Schema extends z.ZodType>(
  schema: Schema,
): { required: true; content: { 'application/json': { schema: Schema } } } {
  return { required: true, content: { 'application/json': { schema } } };
}

/** 1 to 500, default 50. */
export const LimitParam = z.coerce.number().int().min(1).max(500).default(50);
export const CursorParam = z.string().max(1_000).optional();
/** Values that a caller looks for. */
export const NameText = z.string().min(1).max(200);
/** A name for people that is kept and shown: printable, 1 to 100 characters. */
export const GivenName = z
  .string()
  .regex(/^[^\p{C}\p{Zl}\p{Zp}]{1,100}$/u, 'must be 1 to 100 printable characters')
  // Said without the flag, which JSON Schema implies and a generator writes into the pattern.
  .openapi({ pattern: '^[^\\p{C}\\p{Zl}\\p{Zp}]{1,100}$' });
export const IdText = z.string().min(1).max(300);
/** Why somebody reads what is another person's. */
export const ReasonParam = z
  .string()
  .trim()
  .min(3)
  .max(500)
  .optional()
  .describe("Why you read another person's words; it is recorded.");

/** A date (`2026-11-01`, midnight UTC) or an RFC 3339 time. */
export const TimeParam = z
  .string()
  .max(40)
  .regex(
    /^\d{4}-\d\d-\d\d(?:T\d\d:\d\d(?::\d\d(?:\.\d{1,9})?)?(?:Z|[+-]\d\d:\d\d))?$/,
    'must be a date or an RFC 3339 time with its offset',
  )
  .optional();

/** Unix milliseconds of a `TimeParam`; throws `invalid_request` on a day that does not exist. */
export function parseTime(name: string, text: string): number;
export function parseTime(name: string, text: string | undefined): number | undefined;
export function parseTime(name: string, text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  const time = Date.parse(text);
  if (Number.isNaN(time)) throw new ApiError('invalid_request', `${name}: no such time: ${text}`);
  return time;
}

export function timeText(time: number): string {
  return new Date(time).toISOString();
}

export function nullableTimeText(time: number | null): string | null {
  return time === null ? null : timeText(time);
}
