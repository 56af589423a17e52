/** Bodies of the API v2: JSON against a schema, and the refusal that names the field. */
import { z } from '@hono/zod-openapi';
import { badRequest } from './failure.ts';

/** Unknown members are passed over, as newer clients send some. An empty body is `{}`. */
export function readJson<Schema extends z.ZodType>(body: Buffer, schema: Schema): z.output<Schema> {
  let value: unknown;
  try {
    value = body.byteLength === 0 ? {} : JSON.parse(body.toString('utf8'));
  } catch {
    throw badRequest('the body is not JSON');
  }
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  throw badRequest(`${issue?.path.map(String).join('.') || 'body'}: ${issue?.message ?? 'is invalid'}`);
}

/** A list. Programs in Go write an empty one as null. */
export function listOf<Item extends z.ZodType>(item: Item, max: number) {
  return z
    .array(item)
    .max(max)
    .nullable()
    .transform((list) => list ?? []);
}

export function timeText(at: number): string {
  return new Date(at).toISOString().replace(/\.\d{3}Z$/, 'Z');
}
