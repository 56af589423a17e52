/** A granted reservation: grows as a stream goes on, and ends once, with the real usage or with nothing. */
import type { Clock } from '../base/clock.ts';
import { toAmount } from './estimate.ts';
import type { Bucket } from './bucket.ts';
import type { Leases } from './leases.ts';
import type { Take } from './take.ts';

/** What an exchange really used. */
export interface Actual {
  /** All input tokens; null where unknown. */
  readonly inputTokens: number | null;
  /** All output tokens, hidden ones included; null where unknown. */
  readonly outputTokens: number | null;
  /** Null where unknown (unpriced, or usage without a price): what was reserved then counts as spent. */
  readonly costNanoUsd: number | null;
  /** The figures are an estimate (an abort, a cut stream). */
  readonly estimated: boolean;
}

export interface Reservation {
  readonly granted: true;
  /** The output limit that the request must carry, written or lowered by the gateway; null: leave the request as it is. */
  readonly outputTokensAllowed: number | null;
  /** Buckets beyond a soft threshold, for `x-postern-warning`. */
  readonly warnings: readonly { readonly bucket: string; readonly threshold: number }[];
  /**
   * Asked as output tokens arrive (the sum so far). `cut`: the budget is spent, end the stream.
   * Only a `metered` estimate is ever cut; else the limit in the request is the bound. Costs one
   * comparison mostly.
   */
  spend(outputTokensSoFar: number): 'go on' | 'cut';
  /** Corrects to what was used and ends. Only the first of `settle` and `release` counts. */
  settle(actual: Actual): void;
  /** Gives all back: nothing was sent, or the provider charged nothing. */
  release(): void;
}

/** A reservation grows by so much: some seconds of a fast stream. */
export const SLICE_TOKENS = 2_048;
/** Growth begins when no more than this is left of what is reserved. */
const GROW_BEFORE_TOKENS = 1_024;
/** While the store is asked, the next try is after so many tokens. */
const RETRY_TOKENS = 64;
/** The stream is cut so long before the reserved tokens end: what is under way then still comes. */
export const CUT_MARGIN_TOKENS = 128;

/** What a reservation reports to. */
export interface ReservationHost {
  readonly clock: Clock;
  readonly leases: Leases;
  noteSpent(bucket: Bucket): void;
  noteOverrun(bucket: Bucket, overrunBy: number): void;
}

export interface ReservationTerms {
  readonly outputTokensAllowed: number | null;
  /** Output tokens that are reserved in every growing take. */
  readonly tokens: number;
  /** The answer can have no more; Infinity for none. */
  readonly limit: number;
  readonly metered: boolean;
}

export class HeldReservation implements Reservation {
  readonly granted = true;
  readonly outputTokensAllowed: number | null;
  readonly #host: ReservationHost;
  readonly #takes: readonly Take[];
  readonly #limit: number;
  #tokens: number;
  /** Up to here `spend` has nothing to do. */
  #quietUntil: number;
  #state: 'open' | 'cut' | 'ended' = 'open';

  constructor(host: ReservationHost, takes: readonly Take[], terms: ReservationTerms) {
    this.#host = host;
    this.#takes = takes;
    this.#limit = terms.limit;
    this.#tokens = terms.tokens;
    this.outputTokensAllowed = terms.outputTokensAllowed;
    this.#quietUntil = terms.metered ? this.#nextCheck() : Infinity;
    for (const take of takes) for (const bucket of take.chain) bucket.pins += 1;
  }

  get warnings(): readonly { readonly bucket: string; readonly threshold: number }[] {
    const found: { bucket: string; threshold: number }[] = [];
    for (const { use, chain } of this.#takes) {
      const threshold = chain[0]?.thresholds.crossed ?? null;
      if (threshold !== null) found.push({ bucket: use.bucket, threshold });
    }
    return found;
  }

  spend(outputTokensSoFar: number): 'go on' | 'cut' {
    return outputTokensSoFar <= this.#quietUntil ? 'go on' : this.#check(outputTokensSoFar);
  }

  settle(actual: Actual): void {
    if (this.#state === 'ended') return;
    this.#end();
    for (const take of this.#takes) {
      const spent = spentOf(take, actual);
      const excess = take.settle(spent);
      if (excess > 0 && !take.isUnreserved) this.#noteOverrun(take, excess);
      this.#afterwards(take);
    }
  }

  release(): void {
    if (this.#state === 'ended') return;
    this.#end();
    for (const take of this.#takes) {
      take.release();
      this.#afterwards(take);
    }
  }

  #end(): void {
    this.#state = 'ended';
    this.#quietUntil = Infinity;
  }

  #noteOverrun(take: Take, excess: number): void {
    const last = take.chain.at(-1);
    if (last !== undefined) this.#host.noteOverrun(last, excess);
  }

  #afterwards(take: Take): void {
    for (const bucket of take.chain) {
      bucket.pins -= 1;
      if (bucket.mustReport) void this.#host.leases.report(bucket);
      this.#host.noteSpent(bucket);
    }
  }

  /** Off the common way: grows by a slice, or as far as it goes, or cuts. */
  #check(soFar: number): 'go on' | 'cut' {
    if (this.#state === 'cut') return 'cut';
    if (this.#grow(Math.min(this.#limit, Math.max(this.#tokens, soFar) + SLICE_TOKENS))) {
      this.#quietUntil = this.#nextCheck();
      return 'go on';
    }
    if (soFar + CUT_MARGIN_TOKENS >= this.#tokens) {
      this.#state = 'cut';
      this.#quietUntil = -1;
      return 'cut';
    }
    this.#quietUntil = Math.min(soFar + RETRY_TOKENS, this.#tokens - CUT_MARGIN_TOKENS);
    return 'go on';
  }

  /** Where `spend` must look next: never, once everything that the answer can have is reserved. */
  #nextCheck(): number {
    return this.#tokens >= this.#limit ? Infinity : Math.max(0, this.#tokens - GROW_BEFORE_TOKENS);
  }

  /** Reserves for `target` tokens in every growing take, or for what all of them can pay; whether that is more than before. */
  #grow(target: number): boolean {
    const { clock, leases } = this.#host;
    const wall = clock.now();
    let tokens = target;
    for (const take of this.#takes) {
      if (take.isUnreserved || take.tokens >= target) continue;
      const payable = take.tokensFor(take.reserved + take.held(wall));
      if (payable >= target) continue;
      tokens = Math.min(tokens, payable);
      const missing = Math.max(1, take.amountFor(target) - take.reserved - take.held(wall));
      for (const bucket of take.chain)
        if (leases.mayAsk(bucket)) void leases.ask(bucket, 0, bucket.available + missing);
    }
    if (tokens <= this.#tokens) return false;
    for (const take of this.#takes) {
      if (take.isUnreserved || take.tokens >= tokens) continue;
      if (!take.reserve(tokens, wall, leases.tick)) return false;
    }
    this.#tokens = tokens;
    return true;
  }
}

/** In the take's unit. What is not known counts as all that was reserved. */
function spentOf(take: Take, actual: Actual): number {
  const { unit } = take.use.quota;
  switch (unit) {
    case 'requests':
      return take.reserved;
    case 'concurrency':
      return 0;
    case 'tokens':
      return actual.inputTokens === null && actual.outputTokens === null
        ? take.reserved
        : toAmount((actual.inputTokens ?? 0) + (actual.outputTokens ?? 0));
    case 'usd':
      return actual.costNanoUsd === null ? take.reserved : toAmount(actual.costNanoUsd);
    default:
      return unit satisfies never;
  }
}
