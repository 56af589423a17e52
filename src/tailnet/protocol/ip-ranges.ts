/** A set of IP addresses of both families, as sorted ranges: built once, asked for every new flow. */
import type { Cidr, IpAddress } from '../../wire/ip.ts';
import { parseCidr, parseIp } from '../../wire/ip.ts';

export interface IpRange {
  readonly family: 4 | 6;
  /** Both included. */
  readonly first: bigint;
  readonly last: bigint;
}

export function rangeOfCidr({ family, base, prefixLength }: Cidr): IpRange {
  const hostBits = BigInt((family === 4 ? 32 : 128) - prefixLength);
  return { family, first: base, last: base | ((1n << hostBits) - 1n) };
}

const EVERYTHING: readonly IpRange[] = [
  { family: 4, first: 0n, last: (1n << 32n) - 1n },
  { family: 6, first: 0n, last: (1n << 128n) - 1n },
];

/** What a rule of the network's filter writes: an address, a prefix, `a-b`, or `*`. Null for anything else. */
export function parseIpRanges(text: string): readonly IpRange[] | null {
  if (text === '*') return EVERYTHING;
  const dash = text.indexOf('-');
  if (dash === -1) {
    const cidr = parseCidr(text);
    return cidr === null ? null : [rangeOfCidr(cidr)];
  }
  const first = parseIp(text.slice(0, dash));
  const last = parseIp(text.slice(dash + 1));
  if (first === null || last === null || first.family !== last.family || first.value > last.value)
    return null;
  return [{ family: first.family, first: first.value, last: last.value }];
}

export class IpRangeSet {
  readonly #v4: Bounds;
  readonly #v6: Bounds;

  constructor(ranges: readonly IpRange[]) {
    this.#v4 = merge(ranges.filter(({ family }) => family === 4));
    this.#v6 = merge(ranges.filter(({ family }) => family === 6));
  }

  has(ip: IpAddress): boolean {
    const { firsts, lasts } = ip.family === 4 ? this.#v4 : this.#v6;
    let low = 0;
    let high = firsts.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((firsts[middle] ?? 0n) <= ip.value) low = middle + 1;
      else high = middle;
    }
    return low > 0 && ip.value <= (lasts[low - 1] ?? -1n);
  }

  get isEmpty(): boolean {
    return this.#v4.firsts.length + this.#v6.firsts.length === 0;
  }
}

interface Bounds {
  readonly firsts: readonly bigint[];
  readonly lasts: readonly bigint[];
}

function merge(ranges: IpRange[]): Bounds {
  ranges.sort((a, b) => (a.first < b.first ? -1 : a.first > b.first ? 1 : 0));
  const firsts: bigint[] = [];
  const lasts: bigint[] = [];
  for (const { first, last } of ranges) {
    const before = lasts.at(-1);
    if (before !== undefined && first <= before + 1n) {
      if (last > before) lasts[lasts.length - 1] = last;
    } else {
      firsts.push(first);
      lasts.push(last);
    }
  }
  return { firsts, lasts };
}
