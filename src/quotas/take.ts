/** What one request takes from one bucket, and from those that lend to it. */
import type { Bucket } from './bucket.ts';
import type { BucketUse } from './bucket-use.ts';
import { toAmount, type Cost } from './estimate.ts';

interface Hold {
  readonly bucket: Bucket;
  readonly generation: number;
  amount: number;
}

export class Take {
  readonly use: BucketUse;
  /** The bucket itself first, then its lenders in order. */
  readonly chain: readonly Bucket[];
  readonly cost: Cost;
  /** Aperture's rule: only looked at before, debited after. */
  readonly isUnreserved: boolean;
  /** Output tokens that are reserved. */
  tokens = 0;
  readonly #holds: Hold[] = [];

  constructor(use: BucketUse, chain: readonly Bucket[], cost: Cost) {
    const { unit, reserve } = use.quota;
    this.use = use;
    this.chain = chain;
    this.cost = cost;
    this.isUnreserved = reserve === 'none' && (unit === 'usd' || unit === 'tokens');
  }

  /** The cost with so many output tokens. */
  amountFor(tokens: number): number {
    const { base, perToken } = this.cost;
    return perToken === 0 ? base : toAmount(base + perToken * tokens);
  }

  /** Output tokens that an amount pays for, the rest of the request included; below zero if not even that. */
  tokensFor(amount: number): number {
    const { base, perToken } = this.cost;
    return perToken === 0 ? (amount >= base ? Infinity : -1) : Math.floor((amount - base) / perToken);
  }

  /** What can be taken at once. */
  held(wall: number): number {
    let sum = 0;
    for (const bucket of this.chain) if (bucket.isOpen(wall)) sum += bucket.available;
    return sum;
  }

  /** What may be left, here and in the store; debts subtracted. */
  spendable(): number {
    let sum = 0;
    for (const bucket of this.chain) sum += bucket.spendable;
    return sum;
  }

  /** Reserves for `tokens` in all; false, and nothing changed, if it is not there. */
  reserve(tokens: number, wall: number, tick: number): boolean {
    const before = this.reserved;
    const missing = this.amountFor(tokens) - before;
    let rest = missing;
    for (const bucket of this.chain) {
      if (rest <= 0) break;
      const part = bucket.take(rest, wall, tick);
      if (part > 0) this.#hold(bucket, part);
      rest -= part;
    }
    if (rest > 0) {
      this.#reduce(missing - rest);
      return false;
    }
    this.tokens = tokens;
    return true;
  }

  get reserved(): number {
    let sum = 0;
    for (const hold of this.#holds) sum += hold.amount;
    return sum;
  }

  /** Gives everything back. */
  release(): void {
    this.#reduce(this.reserved);
  }

  /** Ends with what was really spent; how much of it had not been reserved. */
  settle(spent: number): number {
    let rest = spent;
    for (const hold of this.#holds) {
      const part = Math.min(rest, hold.amount);
      hold.bucket.end(hold.amount, part, hold.generation);
      rest -= part;
    }
    this.#holds.length = 0;
    if (rest > 0) this.#debit(rest);
    return rest;
  }

  /** Lenders pay what they have; the last of the chain pays the rest, below zero if it must. */
  #debit(amount: number): void {
    let rest = amount;
    const last = this.chain.length - 1;
    for (let i = 0; i <= last && rest > 0; i += 1) {
      const bucket = this.chain[i];
      if (bucket === undefined) break;
      const part = i === last ? rest : Math.min(rest, Math.max(0, bucket.spendable));
      bucket.debit(part);
      rest -= part;
    }
  }

  #hold(bucket: Bucket, amount: number): void {
    for (const hold of this.#holds) {
      if (hold.bucket !== bucket || hold.generation !== bucket.generation) continue;
      hold.amount += amount;
      return;
    }
    this.#holds.push({ bucket, generation: bucket.generation, amount });
  }

  /** Gives back `amount`, the last lender's first. */
  #reduce(amount: number): void {
    let rest = amount;
    for (let i = this.#holds.length - 1; i >= 0 && rest > 0; i -= 1) {
      const hold = this.#holds[i];
      if (hold === undefined) break;
      const part = Math.min(rest, hold.amount);
      hold.bucket.end(part, 0, hold.generation);
      hold.amount -= part;
      rest -= part;
    }
  }
}
