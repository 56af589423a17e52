/**
 * Sets of IP addresses of both families as sorted, disjoint ranges: union, difference, questions, and
 * the three texts that the control protocol takes for them (an address, a prefix, `first-last`).
 */
import { formatIp, parseCidr, parseIp, type Cidr, type IpAddress } from '../../wire/ip.ts';

/** Both ends included. */
export interface IpRange {
  readonly family: 4 | 6;
  readonly first: bigint;
  readonly last: bigint;
}

/** Sorted by family and first address; neighbours are joined. */
export type IpRanges = readonly IpRange[];

function rangeOfCidr({ family, base, prefixLength }: Cidr): IpRange {
  const hostBits = BigInt((family === 4 ? 32 : 128) - prefixLength);
  return { family, first: base, last: base | ((1n << hostBits) - 1n) };
}

export function rangeOfIp({ family, value }: IpAddress): IpRange {
  return { family, first: value, last: value };
}

/** An address, a prefix or `first-last`; null for any other text. */
export function parseIpRange(text: string): IpRange | null {
  const dash = text.indexOf('-');
  if (dash === -1) {
    const cidr = parseCidr(text);
    return cidr === null ? null : rangeOfCidr(cidr);
  }
  const first = parseIp(text.slice(0, dash));
  const last = parseIp(text.slice(dash + 1));
  if (first === null || last === null || first.family !== last.family) return null;
  return first.value <= last.value ? { family: first.family, first: first.value, last: last.value } : null;
}

export function sameRange(a: IpRange, b: IpRange): boolean {
  return a.family === b.family && a.first === b.first && a.last === b.last;
}

export function overlaps(a: IpRange, b: IpRange): boolean {
  return a.family === b.family && a.first <= b.last && b.first <= a.last;
}

/** Whether `inner` lies in `outer`. */
export function covers(outer: IpRange, inner: IpRange): boolean {
  return outer.family === inner.family && outer.first <= inner.first && inner.last <= outer.last;
}

/** Joined, sorted, disjoint. */
export function unionOf(ranges: Iterable<IpRange>): IpRanges {
  const sorted = [...ranges].sort((a, b) =>
    a.family === b.family ? Number(a.first > b.first) - Number(a.first < b.first) : a.family - b.family,
  );
  const joined: IpRange[] = [];
  for (const range of sorted) {
    const before = joined.at(-1);
    if (before === undefined || before.family !== range.family || range.first > before.last + 1n) {
      joined.push(range);
    } else if (range.last > before.last) {
      joined[joined.length - 1] = { ...before, last: range.last };
    }
  }
  return joined;
}

/** What is in `from` and not in `taken`. */
export function difference(from: IpRanges, taken: IpRanges): IpRanges {
  const left: IpRange[] = [];
  let next = 0;
  for (const range of from) {
    let { first } = range;
    while (next < taken.length && isBefore(taken[next], range)) next += 1;
    for (let at = next; at < taken.length; at += 1) {
      const hole = taken[at];
      if (hole === undefined || !overlaps(hole, range)) break;
      if (first < hole.first) left.push({ ...range, first, last: hole.first - 1n });
      first = hole.last + 1n;
    }
    if (first <= range.last) left.push({ ...range, first });
  }
  return left;
}

function isBefore(one: IpRange | undefined, other: IpRange): boolean {
  if (one === undefined) return false;
  return one.family < other.family || (one.family === other.family && one.last < other.first);
}

export function overlapsAny(ranges: IpRanges, range: IpRange): boolean {
  const near = lastBeginningBy(ranges, range.family, range.last);
  return near !== undefined && overlaps(near, range);
}

export function coversWhole(ranges: IpRanges, range: IpRange): boolean {
  const near = lastBeginningBy(ranges, range.family, range.first);
  return near !== undefined && covers(near, range);
}

/** Of disjoint ranges the last that begins at or before an address: the only one that can hold it. */
function lastBeginningBy(ranges: IpRanges, family: 4 | 6, address: bigint): IpRange | undefined {
  let low = 0;
  let high = ranges.length;
  while (low < high) {
    const middle = (low + high) >>> 1;
    const one = ranges[middle];
    const begins =
      one !== undefined && (one.family < family || (one.family === family && one.first <= address));
    if (begins) low = middle + 1;
    else high = middle;
  }
  return ranges[low - 1];
}

/** An address, a prefix where the range is one, otherwise `first-last`. */
export function formatRange(range: IpRange): string {
  const { family, first, last } = range;
  const start = formatIp({ family, value: first });
  if (first === last) return start;
  const length = prefixLengthOf(range);
  return length === null ? `${start}-${formatIp({ family, value: last })}` : `${start}/${length}`;
}

function prefixLengthOf({ family, first, last }: IpRange): number | null {
  const span = last - first + 1n;
  if ((span & (span - 1n)) !== 0n || (first & (span - 1n)) !== 0n) return null;
  return (family === 4 ? 32 : 128) - (span.toString(2).length - 1);
}

/** The fewest prefixes that make up the range, as texts; an address is `a/32` or `x/128`. */
export function prefixesOf(range: IpRange): readonly string[] {
  const { family, last } = range;
  const bits = family === 4 ? 32 : 128;
  const texts: string[] = [];
  for (let first = range.first; first <= last;) {
    let hostBits = 0;
    while (hostBits < bits) {
      const span = 1n << BigInt(hostBits + 1);
      if ((first & (span - 1n)) !== 0n || first + span - 1n > last) break;
      hostBits += 1;
    }
    texts.push(`${formatIp({ family, value: first })}/${bits - hostBits}`);
    first += 1n << BigInt(hostBits);
  }
  return texts;
}
