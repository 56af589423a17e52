/**
 * One text for one JSON value, so that it can be hashed: object keys sorted by UTF-16 code units,
 * no white space, numbers and strings as `JSON.stringify` writes them (the scheme of RFC 8785, for
 * values that came out of `JSON.parse`).
 */

/** Levels of nesting that are canonicalised; deeper values throw. A parser's own stack ends later. */
export const CANONICAL_DEPTH_MAX = 500;

/**
 * The canonical text of a JSON value. `undefined` members are left out, as `JSON.stringify` does.
 * Throws `RangeError` beyond the depth limit and `TypeError` on what JSON cannot hold.
 * `dropKeys` names object members to leave out wherever they are.
 */
export function canonicalJson(value: unknown, dropKeys?: ReadonlySet<string>): string {
  return write(value, dropKeys, 0);
}

function write(value: unknown, dropKeys: ReadonlySet<string> | undefined, depth: number): string {
  if (depth > CANONICAL_DEPTH_MAX)
    throw new RangeError(`value is nested deeper than ${CANONICAL_DEPTH_MAX} levels`);
  if (value === null || typeof value === 'boolean' || typeof value === 'string') return JSON.stringify(value);
  if (typeof value === 'number') {
    if (!Number.isFinite(value)) throw new TypeError('a number must be finite');
    return JSON.stringify(value);
  }
  if (Array.isArray(value))
    return `[${value.map((item) => write(item ?? null, dropKeys, depth + 1)).join(',')}]`;
  if (typeof value !== 'object') throw new TypeError(`JSON cannot hold a ${typeof value}`);
  const members: string[] = [];
  for (const [key, member] of Object.entries(value).sort(byKey)) {
    if (member === undefined || dropKeys?.has(key) === true) continue;
    members.push(`${JSON.stringify(key)}:${write(member, dropKeys, depth + 1)}`);
  }
  return `{${members.join(',')}}`;
}

function byKey(a: readonly [string, unknown], b: readonly [string, unknown]): number {
  if (a[0] === b[0]) return 0;
  return a[0] < b[0] ? -1 : 1;
}
