/**
 * Reading a stranger's JSON: each function gives a value of the asked kind or null, and never throws.
 * Lists are cut at a stated length.
 */
import { type Cidr, type IpAddress, parseCidr, parseIp } from '../../wire/ip.ts';
import { type IpPort, parseIpPort } from '../../wire/ip-port.ts';

export type WireObject = Readonly<Record<string, unknown>>;
export type JsonValue =
  | null
  | boolean
  | number
  | string
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };

/** Of one name, label or id. */
const TEXT_MAX_CHARS = 1024;
/** Of a value that is handed on as it came. */
const JSON_DEPTH_MAX = 32;

export function asObject(value: unknown): WireObject | null {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- an object that is no array has string keys
  return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as WireObject) : null;
}

export function asText(value: unknown, maxChars = TEXT_MAX_CHARS): string | null {
  return typeof value === 'string' && value.length <= maxChars ? value : null;
}

/** A whole number from 0 on that is exact. */
export function asCount(value: unknown): number | null {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : null;
}

/** A port, 0 to 65535. */
export function asPort(value: unknown): number | null {
  const port = asCount(value);
  return port !== null && port <= 65_535 ? port : null;
}

export function asBoolean(value: unknown): boolean | null {
  return typeof value === 'boolean' ? value : null;
}

/** RFC 3339 as milliseconds since 1970; null for none, and for year 1, which is how Go writes none. */
export function asTime(value: unknown): number | null {
  if (typeof value !== 'string' || value.length > 64 || value.startsWith('0001-01-01')) return null;
  const time = Date.parse(value);
  return Number.isNaN(time) ? null : time;
}

/** What `read` makes of each item, without its nulls; at most `maxItems`. Empty for what is no list. */
export function asList<Item>(value: unknown, maxItems: number, read: (item: unknown) => Item | null): Item[] {
  if (!Array.isArray(value)) return [];
  const items: Item[] = [];
  for (const item of value) {
    if (items.length >= maxItems) break;
    const made = read(item);
    if (made !== null) items.push(made);
  }
  return items;
}

/** The members of an object, at most `maxEntries`; empty for what is none. */
export function asEntries(value: unknown, maxEntries: number): [string, unknown][] {
  const found = asObject(value);
  return found === null ? [] : Object.entries(found).slice(0, maxEntries);
}

export function asCidr(value: unknown): Cidr | null {
  return typeof value === 'string' ? parseCidr(value) : null;
}

export function asIp(value: unknown): IpAddress | null {
  return typeof value === 'string' ? parseIp(value) : null;
}

export function asIpPort(value: unknown): IpPort | null {
  return typeof value === 'string' ? parseIpPort(value) : null;
}

/** A value of `JSON.parse` that is not nested too deeply to be walked. */
export function asJson(value: unknown): JsonValue | undefined {
  // oxlint-disable-next-line typescript/no-unsafe-type-assertion -- it comes from JSON.parse; only its depth is unknown
  return isShallow(value, JSON_DEPTH_MAX) ? (value as JsonValue) : undefined;
}

function isShallow(value: unknown, depth: number): boolean {
  if (typeof value !== 'object' || value === null) return true;
  return depth > 0 && Object.values(value).every((inner) => isShallow(inner, depth - 1));
}
